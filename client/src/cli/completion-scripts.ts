/*
 * What makes a shell ask `millrace __complete` when Tab is pressed. The scripts know no command
 * and no option: those are asked of the program, so that they are always of its version.
 */

/**
 * bash splits words at `:` and `=` too (COMP_WORDBREAKS), and replaces only the part behind them.
 * Nothing in it is newer than bash 3.2, which macOS still has.
 */
const bash = `# Completion of millrace for bash. To use it now: eval "$(millrace completion bash)"
_millrace_complete() {
  local line word part candidates candidate
  line=\${COMP_LINE:0:COMP_POINT}
  word=\${line##*[[:space:]]}
  part=\${COMP_WORDS[COMP_CWORD]}
  [[ $part == [:=] ]] && part=
  COMPREPLY=()
  candidates=$("$1" __complete bash "$line" 2>/dev/null)
  if [[ $candidates == :files ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r candidate; do
      COMPREPLY+=("$candidate")
    done < <(compgen -f -- "$part")
    return
  fi
  while IFS= read -r candidate; do
    [[ -n $candidate ]] || continue
    candidate=\${candidate#"\${word%"$part"}"}
    [[ $candidate == *= ]] && compopt -o nospace 2>/dev/null
    # Within quotes a blank needs no other.
    [[ $part == [\\"\\']* ]] || printf -v candidate %q "$candidate"
    COMPREPLY+=("$candidate")
  done <<< "$candidates"
}
complete -F _millrace_complete millrace
`;

const zsh = `#compdef millrace
# Completion of millrace for zsh. To use it now, after compinit: eval "$(millrace completion zsh)"
_millrace() {
  local -a lines candidates
  local line
  local -a options
  lines=("\${(@f)$("\${words[1]}" __complete zsh -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $lines[1] == ':files' ]]; then
    _files
    return
  fi
  for line in $lines; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  [[ $lines[1] == *'='$'\\t'* ]] && options=(-S '')
  (( $#candidates )) && _describe -t values millrace candidates "\${options[@]}"
}
if [[ $funcstack[1] == _millrace ]]; then
  _millrace "$@"
else
  compdef _millrace millrace
fi
`;

const fish = `# Completion of millrace for fish. To use it now: millrace completion fish | source
function __millrace_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l candidates ($words[1] __complete fish -- $words[2..-1] "$current" 2>/dev/null)
    if test "$candidates[1]" = :files
        __fish_complete_path "$current"
    else
        printf '%s\\n' $candidates
    end
end
complete -c millrace -f -a '(__millrace_complete)'
`;

/** The script of each shell. */
export const completionScripts = { bash, zsh, fish } as const;

/** A shell that there is a script for. */
export type Shell = keyof typeof completionScripts;

/** Their names. */
export const shells = Object.keys(completionScripts) as readonly Shell[];

/** Stands alone in the answer to a script: the shell is to complete file names. */
export const FILES_LINE = ':files';

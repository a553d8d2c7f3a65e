/** Far beyond what anything here takes on a busy machine: it only ends what hangs. */
const HANGS_AFTER_MS = 90_000;

/**
 * Looks until the condition holds, for `hangsAfterMs` at most.
 *
 * @param state what else is to be said of how things stand when it does not come to hold
 * @throws Error that says what was waited for, when it does not come to hold
 */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  state: () => string = () => '',
  hangsAfterMs = HANGS_AFTER_MS,
): Promise<void> {
  const deadlineMs = performance.now() + hangsAfterMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) {
      throw new Error(`waited ${hangsAfterMs} ms in vain: ${what}${state()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

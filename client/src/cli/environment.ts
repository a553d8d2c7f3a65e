/** What a command runs in; tests give their own. */
export interface Environment {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Address of the broker to talk to. */
  readonly broker: () => string;
}

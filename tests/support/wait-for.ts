/** Far beyond what anything here takes on a busy machine: it only ends what hangs. */
const HANGS_AFTER_MS = 90_000;

/**
 * Looks until the condition holds.
 *
 * @param state what else is to be said of how things stand when it does not come to hold
 * @throws Error that says what was waited for, when it does not come to hold
 */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  state: () => string = () => '',
): Promise<void> {
  const deadlineMs = performance.now() + HANGS_AFTER_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) {
      throw new Error(`waited ${HANGS_AFTER_MS} ms in vain: ${what}${state()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

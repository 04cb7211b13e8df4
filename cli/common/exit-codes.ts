/** Exit codes of the command line: a guest command's own code passes through, so ours keep to what it rarely uses. */
export const EXIT = {
  OK: 0,
  /** `demo`, `doctor`: something is not as it should be. */
  FAILED: 1,
  /** Wrong options or arguments. */
  USAGE: 2,
  /** `run --faults`: the command has succeeded, and a fault that was declared has never fired. */
  FAULT_NOT_FIRED: 122,
  /** The guest died under the command. */
  GUEST_DIED: 123,
  /** The command's time limit was reached; as timeout(1). */
  TIMED_OUT: 124,
  /** ghostcard itself could not do its part: provisioning, launching, binding. */
  GHOSTCARD: 125,
  /** The command could not be started in the guest; as the shell. */
  NOT_STARTED: 127,
  /** Plus the signal's number: the command, or ghostcard, was ended by a signal. */
  SIGNAL: 128,
} as const;

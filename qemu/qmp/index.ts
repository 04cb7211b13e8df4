/** QMP, QEMU's control protocol, as promises. */
export { DEFAULT_QMP_TIMEOUT_MS, QmpClient, type QmpEvent, type QmpWait } from './client';
export { QmpCommandError, QmpConnectionError, QmpTimeoutError } from './errors';

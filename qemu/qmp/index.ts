/** QMP, QEMU's control protocol, as promises. */
export {
  DEFAULT_QMP_TIMEOUT_MS,
  QmpClient,
  QmpCommandError,
  QmpConnectionError,
  type QmpEvent,
  QmpTimeoutError,
  type QmpWait,
} from './client';

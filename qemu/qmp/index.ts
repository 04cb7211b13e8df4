/** QMP, QEMU's control protocol, with promises. */
export {
  DEFAULT_QMP_TIMEOUT_MS,
  QmpClient,
  QmpCommandError,
  QmpConnectionError,
  type QmpEvent,
  QmpTimeoutError,
  type QmpWait,
} from './client';

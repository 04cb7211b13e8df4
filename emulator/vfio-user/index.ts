/** The vfio-user server: serves one device on one socket. */
export { EventLines, type ServerEvent } from './events';
export { logErrors, serve, type ServeOptions, VfioUserServer } from './server';
export { defaultSpinLimits, type SpinLimits } from './spin';

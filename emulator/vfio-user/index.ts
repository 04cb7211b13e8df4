/** The vfio-user server: one device, behind one seam, on one socket. */
export { describeEvent, type ServerEvent } from './events';
export { complain, serve, type ServeOptions, VfioUserServer } from './server';
export { defaultSpinLimits, type SpinLimits } from './spin';

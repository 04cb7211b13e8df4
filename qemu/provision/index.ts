/** Provisioning: everything a guest needs, found on the machine, in the cache, or made. */
export { type GuestArch } from './arch';
export { cacheFolder } from './cache';
export { ProvisionError } from './errors';
export { type ProgressEvent, type ProgressListener, type Step } from './progress';
export { terminalProgress, type TextSink } from './progress-terminal';
export { provision } from './provision';
export { type Provisioned, type ProvisionedKernel, type ProvisionedQemu, type ProvisionOptions } from './types';

/** Provisioning: everything that a guest needs, found on the machine or in the cache, or made. */
export { GUEST_ARCHES, type GuestArch, hostArch, KERNEL_FLAVOURS, type KernelFlavour } from './basis/arch';
export {
  Cache,
  type Entry,
  type Ingredients,
  type Described,
  type PublishOptions,
  type UsedEntry,
  type VerifiedEntry,
} from './cache/cache';
export { cacheFolder, cacheLimitBytes, explainCacheError, parseSize } from './cache/folder';
export { type CacheItem, type CacheItemKind, listCache } from './cache/items';
export { type Pruned, pruneCache, type PruneOptions } from './cache/prune';
export { FolderLock } from './cache/folder-lock';
export { type CachedKernel } from './steps/cached-kernels';
export { type KernelList, listKernels, type ListedKernel } from './kernels';
export { buildModules, kernelBuild, type KernelBuild } from './kernel-build';
export { type Failure, ProvisionError } from './basis/errors';
export { inspect, type Inspection, type PartReport, type PartState } from './inspect';
export { type ProgressEvent, type ProgressListener, type Step } from './basis/progress';
export { formatBytes, terminalProgress, type TextSink } from './basis/progress-terminal';
export { provisionObserver } from './observer';
export { provision } from './provision';
export { type Provisioned, type ProvisionedKernel, type ProvisionedQemu, type ProvisionOptions } from './basis/types';

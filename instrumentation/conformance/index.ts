/** The conformance suite for vfio-user servers. */
export { AREAS } from './areas';
export { type Area, type Case, idOf } from './case';
export { junitOf } from './junit';
export { ConformanceError } from './outcome';
export { type CaseResult, runConformance, selected } from './run';
export { ListeningTarget, SpawnedTarget, type Target } from './target';

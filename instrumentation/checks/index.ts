export { type MemoryError, type MemoryErrors } from './check';
export { checksOf, type CardChecks, type CheckCount, type CheckOptions } from './card-checks';
export { CHECK_DOCS, CHECK_NAMES, CHECKS, requireCheck } from './kinds';
export { PAGE_BYTES, type PageFacts, type PageUse } from './pages';

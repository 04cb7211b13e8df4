/** Disturbances at the seam, which no card knows of. */
export { Link } from './link';

/** The corpus. */
import { type Bug } from './bug';
import { MODULE_BUGS } from './module-bugs';
import { USER_BUGS } from './user-bugs';

export const BUGS: readonly Bug[] = [...USER_BUGS, ...MODULE_BUGS];

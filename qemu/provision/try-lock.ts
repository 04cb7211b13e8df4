/** flock(2), which Node itself does not offer: taken from the addon, which is loaded when there is something to lock. */
import { loadNative } from '../../emulator/native';
import { type TryLock } from './lock';

export const tryLock: TryLock = (fd) => loadNative().flock(fd, true);

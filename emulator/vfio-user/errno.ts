/** Error numbers for replies, and their derivation from exceptions. */
import { constants } from 'node:os';

export const {
  E2BIG,
  EEXIST,
  EFAULT,
  EINVAL,
  EIO,
  EMFILE,
  EMSGSIZE,
  ENODEV,
  ENOSPC,
  ENOSYS,
  ENOTTY,
  EOPNOTSUPP,
  EPROTO,
} = constants.errno;

/** The `errno` of a DeviceError or of a failed system call. EIO for any other exception, which is a model error. */
export function errnoOf(error: unknown): number {
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined;
  return typeof errno === 'number' && errno !== 0 ? Math.abs(errno) : EIO;
}

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]));
export const errnoName = (errno: number): string => names.get(errno) ?? `errno ${errno}`;

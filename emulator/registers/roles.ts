/** What a register map says about its registers beside their layout: for tools, such as a summary of a run. */
import type { Role } from './declaration';
import { bitMask, type FieldLayout, type RegisterLayout } from './register-layout';

/**
 * The registers and fields that were declared with `role`, and their bits, in place. `field` is undefined where a register
 * as a whole has the role. Aliases are left out: their targets have it.
 */
export function bitsWithRole(
  registers: readonly RegisterLayout[],
  role: Role,
): { readonly register: RegisterLayout; readonly field: FieldLayout | undefined; readonly mask: bigint }[] {
  return registers
    .filter(({ aliasOf }) => aliasOf === undefined)
    .flatMap((register) => [
      ...(register.role === role ? [{ register, field: undefined, mask: bitMask(register.width - 1, 0) }] : []),
      ...register.fields
        .filter((field) => field.role === role)
        .map((field) => ({ register, field, mask: bitMask(field.msb, field.lsb) })),
    ]);
}

/** The bits of a register that both a driver's write and the card can change (`card` in the declaration), in place. */
export function sharedBits({ width, card, fields }: RegisterLayout): bigint {
  if (card !== undefined) return bitMask(width - 1, 0);
  return fields
    .filter((field) => field.card !== undefined)
    .reduce((bits, { msb, lsb }) => bits | bitMask(msb, lsb), 0n);
}

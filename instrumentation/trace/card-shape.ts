/** What the description of a card must be, for all that reads it. */
import { type DmaChannelDescription, REGION_COUNT } from '../../emulator/pci';
import { type Access, type FieldLayout } from '../../emulator/registers';
import { ACCESS_KINDS } from '../../emulator/registers/access';
import { type CardDescription } from './card-description';
import { anything, listOf, mapOf, maybe, oneOf, type Shape, someText, whole, yesOrNo } from './shapes';

const region = whole(REGION_COUNT - 1);
const bit = whole(63);
const id = whole(0xffff);
const width = oneOf([8, 16, 32, 64] as const);
const access = oneOf([...ACCESS_KINDS.keys()] as Access[]);
/** Of resets, and of what instruments say of registers: nothing here reads them. */
const unread = { survives: anything as Shape<never>, role: anything as Shape<never>, card: anything as Shape<never> };

const HEXADECIMAL = /^[\da-f]{1,16}$/;

/** In the file it is hexadecimal text. */
const reset: Shape<bigint> = (value, problems, path) => {
  if (typeof value === 'string' && HEXADECIMAL.test(value)) return BigInt(`0x${value}`);
  problems.wrong(value, 'a text of up to 16 hexadecimal digits', path);
  return 0n;
};

const fields = listOf(
  mapOf<FieldLayout>({
    ...{ name: someText, msb: bit, lsb: bit, width: whole(64, 1), access, doc: someText },
    ...{ ...unread, values: listOf(mapOf({ name: someText, value: whole() })) },
  }),
);

const registers: Shape<CardDescription['registers']> = listOf(
  mapOf({
    ...{ name: someText, region, offset: whole() },
    registers: listOf(
      mapOf({
        ...{ name: someText, path: someText, offset: whole(), width, access, reset, doc: someText, fields },
        ...{ ...unread, aliasOf: anything as Shape<never>, block: anything as Shape<never> },
      }),
    ),
  }),
);

const rings: Shape<DmaChannelDescription['doorbells'][number]['rings']> = (value, problems, path) =>
  typeof value === 'number'
    ? whole()(value, problems, path)
    : oneOf(['written', 'changed'] as const)(value, problems, path);

const channels: Shape<readonly DmaChannelDescription[]> = listOf(
  mapOf({
    name: someText,
    doorbells: listOf(mapOf({ path: someText, region, offset: whole(), width, msb: bit, lsb: bit, rings })),
    layouts: listOf(
      mapOf({
        role: oneOf(['descriptor', 'data', 'write-back', 'other'] as const),
        strideBytes: whole(2 ** 32, 1),
        words: listOf(mapOf({ name: someText, offset: whole(2 ** 32), width, doc: someText, fields })),
        requestsInterrupt: maybe(someText) as Shape<string>,
      }),
    ),
  }),
);

export const cardShape: Shape<CardDescription> = mapOf<CardDescription>({
  ...{ name: someText, model: someText, vendorId: id, deviceId: id },
  regions: listOf(mapOf({ sizeBytes: whole() })),
  windows: listOf(mapOf({ region, offset: whole(), sizeBytes: whole(), isSeen: yesOrNo })),
  vectors: listOf(whole(0xffff)),
  registers,
  memory: listOf(mapOf({ region, offset: whole(), sizeBytes: whole() })),
  channels: maybe(channels) as Shape<readonly DmaChannelDescription[]>,
  faults: listOf(anything),
});

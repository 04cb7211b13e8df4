/**
 * Checks of a card's platform devices, before any guest sees them. What does not depend on the BARs is checked when the
 * card is constructed (`checkDevices`), the windows once all BARs exist (`resolveWindows`).
 */
import { type BarWindow, overlap } from '../bar-windows';
import { CardDefinitionError, type CardIdentity } from '../identity';
import { type PlatformDevice, type PlatformWindow } from './declaration';
import { COMPATIBLE_BYTES, MAX_BLOCKS, MAX_MAPS, MAX_RESET_MS, NAME_BYTES, PAGE_BYTES } from './layout';

const NAME = /^[A-Za-z0-9][\w-]*$/;
const COMPATIBLE = /^[A-Za-z0-9][\w.+-]*,[\w.,+-]+$/;
const MAX_BUFFER_BYTES = 2 ** 30;

/** A window whose defaults are filled in. */
export interface ResolvedWindow {
  readonly name: string;
  readonly bar: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The properties of a BAR that the checks of its windows need. */
export interface BarFacts {
  readonly label: string;
  readonly sizeBytes: number;
}

export function checkDevices({ platformDevices = [], intx, msix }: CardIdentity): void {
  if (platformDevices.length > MAX_BLOCKS) {
    throw new CardDefinitionError(`${platformDevices.length} platform devices: a card describes at most ${MAX_BLOCKS}`);
  }
  for (const [index, device] of platformDevices.entries()) {
    const what = `platform device '${device.name}'`;
    checkName(`platformDevices[${index}].name`, device.name);
    if (platformDevices.findIndex(({ name }) => name === device.name) !== index) {
      throw new CardDefinitionError(`${what} is declared twice: give each device a unique name`);
    }
    checkDevice(what, device);
  }
  checkInterrupts(platformDevices, intx !== undefined, msix?.vectors ?? 0);
}

function checkDevice(what: string, device: PlatformDevice): void {
  const { compatible, windows, dmaMaskBits = 64, dmaBuffers = {}, reset } = device;
  if (!COMPATIBLE.test(compatible) || compatible.length >= COMPATIBLE_BYTES) {
    throw new CardDefinitionError(
      `${what}: compatible is '${compatible}': it must be "manufacturer,model" of letters, digits and . , _ + -, ` +
        `at most ${COMPATIBLE_BYTES - 1} characters`,
    );
  }
  const maps = [...Object.keys(windows), ...Object.keys(dmaBuffers)];
  if (Object.keys(windows).length === 0) throw new CardDefinitionError(`${what} has no windows: it needs at least one`);
  if (maps.length > MAX_MAPS) {
    throw new CardDefinitionError(
      `${what} has ${maps.length} windows and DMA buffers (${maps.join(', ')}): a UIO device has at most ${MAX_MAPS} maps`,
    );
  }
  for (const [index, name] of maps.entries()) {
    checkName(`${what}: the name of a window or buffer`, name);
    if (/^\d+$/.test(name)) {
      throw new CardDefinitionError(
        `${what}: a window or buffer is named '${name}': JavaScript moves names of digits only to the front, which ` +
          'changes the order of the maps; add a letter',
      );
    }
    if (maps.indexOf(name) !== index) {
      throw new CardDefinitionError(`${what}: a window and a DMA buffer are both named '${name}'`);
    }
  }
  checkRange(`${what}: dmaMaskBits`, dmaMaskBits, 1, 64);
  for (const [name, sizeBytes] of Object.entries(dmaBuffers)) {
    checkPages(`${what}: the size of DMA buffer '${name}'`, sizeBytes, PAGE_BYTES, MAX_BUFFER_BYTES);
  }
  if (reset === undefined) return;
  if (!Object.hasOwn(windows, reset.window)) {
    throw new CardDefinitionError(
      `${what}: reset.window is '${reset.window}': its windows are ${Object.keys(windows).join(', ')}`,
    );
  }
  checkRange(`${what}: reset.value`, reset.value, 0, 0xffff_ffff);
  checkRange(`${what}: reset.busyMask`, reset.busyMask ?? 0, 0, 0xffff_ffff);
  const { limitMs } = reset;
  if (limitMs !== undefined && !(limitMs > 0 && limitMs <= MAX_RESET_MS)) {
    throw new CardDefinitionError(
      `${what}: reset.limitMs is ${limitMs}: it must be above 0 and at most ${MAX_RESET_MS}`,
    );
  }
}

/** INTx and MSI-X exclude each other on a function, and devices cannot share INTx or a vector. */
function checkInterrupts(devices: readonly PlatformDevice[], hasIntx: boolean, vectors: number): void {
  const users = new Map<string, string>();
  for (const { name, interrupt } of devices) {
    if (interrupt === undefined) continue;
    const what = `platform device '${name}'`;
    if (interrupt === 'intx' && !hasIntx) {
      throw new CardDefinitionError(`${what} uses INTx, but the card has no INTx pin: add intx: 'A'`);
    }
    if (interrupt !== 'intx') {
      const has = vectors === 0 ? 'the card has no MSI-X' : `the card has 0 to ${vectors - 1}`;
      const isThere = Number.isInteger(interrupt.msixVector) && interrupt.msixVector >= 0;
      if (!isThere || interrupt.msixVector >= vectors) {
        throw new CardDefinitionError(`${what} uses MSI-X vector ${interrupt.msixVector}: ${has}`);
      }
    }
    const source = interrupt === 'intx' ? 'INTx' : `MSI-X vector ${interrupt.msixVector}`;
    const other = users.get(source);
    if (other !== undefined) {
      throw new CardDefinitionError(
        `${what} and '${other}' both use ${source}: platform devices cannot share an interrupt` +
          (source === 'INTx' ? '; give each device its own MSI-X vector' : ''),
      );
    }
    users.set(source, name);
  }
  const intxUser = users.get('INTx');
  if (intxUser !== undefined && users.size > 1) {
    throw new CardDefinitionError(
      `platform device '${intxUser}' uses INTx and others use MSI-X: a function uses one or the other`,
    );
  }
}

/**
 * Returns the windows of every device with their defaults filled in. `barAt` returns the card's BARs; `reserved` is what
 * the library shows in them.
 */
export function resolveWindows(
  devices: readonly PlatformDevice[],
  barAt: (index: number) => BarFacts | undefined,
  reserved: readonly BarWindow[],
): ResolvedWindow[][] {
  const all: { what: string; window: ResolvedWindow }[] = [];
  return devices.map((device) => {
    const windows = Object.entries<PlatformWindow>(device.windows).map(([name, window]) => {
      const what = `window '${name}' of platform device '${device.name}'`;
      const resolved = resolve(what, name, window, barAt(window.bar));
      const taken = reserved.find((each) => each.bar === resolved.bar && overlap(each, resolved));
      if (taken !== undefined) {
        throw new CardDefinitionError(
          `${what} (${describe(resolved)}) contains ${taken.label} (${describe(taken)}): choose its offset and sizeBytes ` +
            'so that it does not',
        );
      }
      const other = all.find((each) => each.window.bar === resolved.bar && overlap(each.window, resolved));
      if (other !== undefined) {
        throw new CardDefinitionError(
          `${what} (${describe(resolved)}) and ${other.what} (${describe(other.window)}) overlap: ` +
            'a page of a BAR belongs to one window only',
        );
      }
      all.push({ what, window: resolved });
      return resolved;
    });
    const { reset } = device;
    if (reset !== undefined) {
      const { sizeBytes } = windows.find(({ name }) => name === reset.window)!;
      if (!Number.isInteger(reset.offset) || reset.offset % 4 !== 0 || !within(reset.offset, 4, sizeBytes)) {
        throw new CardDefinitionError(
          `platform device '${device.name}': reset.offset is ${hex(reset.offset)}: it must be a multiple of 4 in window ` +
            `'${reset.window}', which has ${hex(sizeBytes)} bytes`,
        );
      }
    }
    return windows;
  });
}

function resolve(what: string, name: string, window: PlatformWindow, bar: BarFacts | undefined): ResolvedWindow {
  if (bar === undefined) {
    throw new CardDefinitionError(
      `${what} is in BAR ${window.bar}, where the card has no registers or memory (a device cannot use a BAR with the ` +
        'MSI-X table, or the upper half of a 64-bit BAR)',
    );
  }
  const { offset = 0, sizeBytes = bar.sizeBytes - (window.offset ?? 0) } = window;
  checkPages(`${what}: offset`, offset, 0, bar.sizeBytes);
  if (!within(offset, sizeBytes, bar.sizeBytes) || sizeBytes <= 0) {
    throw new CardDefinitionError(
      `${what} is ${hex(sizeBytes)} bytes at ${hex(offset)}: BAR ${window.bar} (${bar.label}) has ${hex(bar.sizeBytes)}`,
    );
  }
  checkPages(`${what}: sizeBytes`, sizeBytes, PAGE_BYTES, bar.sizeBytes);
  return { name, bar: window.bar, offset, sizeBytes };
}

const within = (offset: number, sizeBytes: number, limit: number): boolean =>
  offset >= 0 && offset + sizeBytes <= limit;

const describe = ({ bar, offset, sizeBytes }: Omit<ResolvedWindow, 'name'>): string =>
  `BAR ${bar}, ${hex(offset)} to ${hex(offset + sizeBytes - 1)}`;

function checkName(what: string, name: string): void {
  if (NAME.test(name) && name.length < NAME_BYTES) return;
  throw new CardDefinitionError(
    `${what} is '${name}': it must be 1 to ${NAME_BYTES - 1} letters, digits, '-' and '_', the first a letter or digit`,
  );
}

function checkRange(what: string, value: number, lowest: number, highest: number): void {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return;
  throw new CardDefinitionError(`${what} is ${value}: it must be an integer from ${lowest} to ${hex(highest)}`);
}

function checkPages(what: string, value: number, lowest: number, highest: number): void {
  if (Number.isInteger(value) && value % PAGE_BYTES === 0 && value >= lowest && value <= highest) return;
  throw new CardDefinitionError(
    `${what} is ${hex(value)}: it must be a multiple of a page (0x1000) from ${hex(lowest)} to ${hex(highest)}`,
  );
}

const hex = (value: number): string =>
  Number.isInteger(value) && value > 9 ? `0x${value.toString(16)}` : String(value);

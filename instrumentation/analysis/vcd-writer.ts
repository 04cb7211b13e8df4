/**
 * A value change dump: declarations, then changes by ascending time.
 *
 * Source: IEEE 1364-2005, clause 18; `string` and its `s` values are GTKWave's extension (GTKWave manual, "VCD").
 */

/** `wire` of some bits; `event`, which has no value; `string`. */
export type VcdType = 'wire' | 'event' | 'string';

export class VcdSignal {
  constructor(
    /** Its identifier code in the file. */
    readonly code: string,
    readonly type: VcdType,
    readonly bits: number,
  ) {}
}

interface Scope {
  readonly scopes: Map<string, Scope>;
  readonly signals: Map<string, VcdSignal>;
}

const scope = (): Scope => ({ scopes: new Map(), signals: new Map() });

/** The signals; all are declared before the first change. */
export class VcdDeclarations {
  readonly #top = scope();
  #count = 0;

  /** The signal at this path of scopes, created when it is first asked for. */
  signal(path: readonly string[], type: VcdType, bits = 1): VcdSignal {
    const names = path.map(nameOf);
    let at = this.#top;
    for (const name of names.slice(0, -1)) {
      let inner = at.scopes.get(name);
      if (!inner) at.scopes.set(name, (inner = scope()));
      at = inner;
    }
    const name = names.at(-1)!;
    let signal = at.signals.get(name);
    if (!signal) at.signals.set(name, (signal = new VcdSignal(codeOf(this.#count++), type, bits)));
    return signal;
  }

  *lines(): Generator<string> {
    yield* linesOf(this.#top);
    yield '$enddefinitions $end';
  }
}

function* linesOf({ scopes, signals }: Scope): Generator<string> {
  for (const [name, { type, bits, code }] of signals) {
    yield `$var ${type} ${bits} ${code} ${name}${bits > 1 ? ` [${bits - 1}:0]` : ''} $end`;
  }
  for (const [name, inner] of scopes) {
    yield `$scope module ${name} $end`;
    yield* linesOf(inner);
    yield '$upscope $end';
  }
}

/** Viewers take `.` for a scope and `[]` for bits: `H2C[0]` becomes `H2C_0`. */
const nameOf = (name: string): string => name.replace(/\]$/, '').replace(/[^\w]+/g, '_') || '_';

const [FIRST, CODES] = [33, 94];

/** Printable characters, as few as possible. */
function codeOf(index: number): string {
  const digit = String.fromCharCode(FIRST + (index % CODES));
  return index < CODES ? digit : codeOf(Math.floor(index / CODES) - 1) + digit;
}

/** The line that gives a signal a value; `undefined` is unknown. The value of an event does not matter. */
export function changeOf({ type, bits, code }: VcdSignal, value: bigint | string | undefined): string {
  if (type === 'event') return `1${code}`;
  if (type === 'string') return `s${String(value ?? '').replace(/[^!-~]+/g, '_')} ${code}`;
  const text = typeof value === 'bigint' ? BigInt.asUintN(bits, value).toString(2) : 'x';
  return bits === 1 ? `${text}${code}` : `b${text} ${code}`;
}

/** The functions of the kernel, from its own list of symbols. Source: proc_kallsyms in kernel/kallsyms.c. */

export interface KernelFunction {
  readonly name: string;
  readonly offset: bigint;
  /** Undefined for the kernel itself. */
  readonly module: string | undefined;
}

/** ADDRESS TYPE NAME, and the module in brackets; functions have one of these types. */
const FUNCTION = /^([0-9a-f]+) [tTwW] (\S+)(?:\s+\[(\S+)\])?$/;

export class KernelSymbols {
  private readonly functions: readonly { address: bigint; name: string; module: string | undefined }[];

  /** `text` is that of /proc/kallsyms, as root reads it. */
  constructor(text: string) {
    this.functions = text
      .split('\n')
      .flatMap((line) => {
        const [, address, name, module] = FUNCTION.exec(line) ?? [];
        return address === undefined || name === undefined ? [] : [{ address: BigInt(`0x${address}`), name, module }];
      })
      .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  }

  /** The last function that begins at the address or before it. */
  at(address: bigint): KernelFunction | undefined {
    let [low, high] = [0, this.functions.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.functions[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.functions[low - 1];
    return found && { name: found.name, module: found.module, offset: address - found.address };
  }
}

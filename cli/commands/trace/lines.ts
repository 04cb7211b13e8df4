/**
 * Many lines on standard output: written together, and only as fast as they are taken, so that the end of a reader
 * (`| head`) is noticed.
 */
const BLOCK_CHARACTERS = 64 << 10;

export class Lines {
  #block: string[] = [];
  #characters = 0;

  add(line: string): void {
    this.#block.push(line, '\n');
    this.#characters += line.length + 1;
  }

  /** Time to call `drain`. */
  get isFull(): boolean {
    return this.#characters >= BLOCK_CHARACTERS;
  }

  async drain(): Promise<void> {
    if (this.#characters === 0) return;
    const text = this.#block.join('');
    [this.#block, this.#characters] = [[], 0];
    await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
  }
}

/** The pixels of a PNG, as browsers write them: 8 bits of red, green, blue and maybe alpha, not interlaced. */
import { inflateSync } from 'node:zlib';

export type Color = readonly [red: number, green: number, blue: number];

export class Picture {
  private constructor(
    readonly width: number,
    readonly height: number,
    private readonly channels: number,
    private readonly bytes: Uint8Array,
  ) {}

  static of(png: Buffer): Picture {
    const [width, height, depth, type] = [png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]];
    if (depth !== 8 || (type !== 2 && type !== 6)) throw new Error(`a PNG of depth ${depth} and colour type ${type}`);
    const parts: Buffer[] = [];
    for (let at = 8; at < png.length;) {
      const length = png.readUInt32BE(at);
      if (png.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + length));
      at += length + 12;
    }
    const channels = type === 2 ? 3 : 4;
    return new Picture(
      width,
      height,
      channels,
      unfiltered(inflateSync(Buffer.concat(parts)), width * channels, channels),
    );
  }

  at(x: number, y: number): Color {
    const at = (y * this.width + x) * this.channels;
    return [this.bytes[at]!, this.bytes[at + 1]!, this.bytes[at + 2]!];
  }

  /** Columns of a rectangle that have a pixel of about this colour, counted from its left edge. */
  columnsOf(
    color: Color,
    { left, top, width, height }: { left: number; top: number; width: number; height: number },
  ): number[] {
    const found: number[] = [];
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) {
        if (!isNear(this.at(Math.round(left) + x, Math.round(top) + y), color)) continue;
        found.push(x);
        break;
      }
    }
    return found;
  }
}

const isNear = (a: Color, b: Color): boolean => a.every((channel, i) => Math.abs(channel - b[i]!) <= 6);

/** Source: PNG specification, section 9 (filtering). */
function unfiltered(data: Uint8Array, stride: number, channels: number): Uint8Array {
  const rows = data.length / (stride + 1);
  const out = new Uint8Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    const filter = data[row * (stride + 1)]!;
    for (let i = 0; i < stride; i++) {
      const at = row * stride + i;
      const left = i >= channels ? out[at - channels]! : 0;
      const up = row > 0 ? out[at - stride]! : 0;
      const upLeft = row > 0 && i >= channels ? out[at - stride - channels]! : 0;
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, upLeft)][filter]!;
      out[at] = data[row * (stride + 1) + 1 + i]! + predicted;
    }
  }
  return out;
}

function paeth(left: number, up: number, upLeft: number): number {
  const [a, b, c] = [Math.abs(up - upLeft), Math.abs(left - upLeft), Math.abs(left + up - 2 * upLeft)];
  return a <= b && a <= c ? left : b <= c ? up : upLeft;
}

/** docs/faults.md has every kind of fault with its parameters, and examples that the reference card can have. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { applyFaults, FAULT_KINDS, type FaultDeclaration, KINDS } from '../../instrumentation/faults';

/** What a kind has besides the keys that select its events. */
function parametersOf(name: (typeof FAULT_KINDS)[number]): string[] {
  const kind = KINDS[name];
  const own = 'parameters' in kind && kind.parameters ? Object.keys(kind.parameters) : [];
  return [...own, ...('triggers' in kind && kind.triggers?.length ? ['atNs', 'on'] : [])];
}

const text = readFileSync(join(__dirname, '..', '..', 'docs', 'faults.md'), 'utf8');
const examples = [...text.matchAll(/^```json\n(.*?)^```$/gms)].map(
  ([, code = '']) => JSON.parse(code) as (FaultDeclaration & { readonly card?: string })[],
);

describe('docs/faults.md', () => {
  it('has every kind, with the parameters that it has', () => {
    const rows = [...text.matchAll(/^\| `([a-z-]+)` \| (.*?)\| .* \|$/gm)];
    const listed = rows
      .filter(([, kind = '']) => FAULT_KINDS.includes(kind as FaultDeclaration['fault']))
      .map(([, kind = '', parameters = '']) => [
        kind,
        [...parameters.matchAll(/(?:^|<br>)`(\w+)`:/g)].map(([, key]) => key).sort(),
      ]);
    expect(listed.sort()).toEqual(FAULT_KINDS.map((kind) => [kind, parametersOf(kind).sort()]).sort());
  });

  it('has an example of each', () => {
    expect(new Set(examples.flat().map(({ fault }) => fault))).toEqual(new Set(FAULT_KINDS));
  });

  it.each(examples.map((example, index) => [index, example] as const))(
    'has an example %i that is right',
    (_, example) => {
      const card = new ReferenceCard({ clock: new ManualClock() });
      const faults = example.map(({ card: _, ...fault }) => fault as FaultDeclaration);
      expect(applyFaults(card, faults).counts).toHaveLength(faults.length);
      card.close();
    },
  );
});

/**
 * Reads the machine's apt configuration to find the mirror that it uses; this repository names none.
 *
 * Source: sources.list(5), both the one-line style and the deb822 style.
 */
import { ProvisionError } from '../basis/errors';

export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  readonly signedBy?: string;
}

/** Parses the one-line style: `deb [option=value …] uri suite [component …]`. Only `deb` lines count. */
export function parseOneLineSources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const raw of text.split('\n')) {
    const match = /^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+\S+)*)$/.exec(raw.replace(/#.*/, '').trim());
    if (match === null) continue;
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1];
    sources.push({ uri, suite, components: words(components), ...(signedBy === undefined ? {} : { signedBy }) });
  }
  return sources;
}

/**
 * Parses the deb822 style: stanzas of `Field: value`, where URIs and Suites may be lists, and `Enabled: no` disables a
 * stanza.
 */
export function parseDeb822Sources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  const withoutComments = text.replace(/^#.*\n?/gm, '');
  for (const stanza of withoutComments.split(/\n\s*\n/)) {
    const fields = parseStanza(stanza);
    if (!words(fields.get('types')).includes('deb') || /^(no|false|0)$/i.test(fields.get('enabled') ?? '')) continue;
    const signedBy = fields.get('signed-by');
    for (const uri of words(fields.get('uris'))) {
      for (const suite of words(fields.get('suites'))) {
        const components = words(fields.get('components'));
        sources.push({ uri, suite, components, ...(signedBy === undefined ? {} : { signedBy }) });
      }
    }
  }
  return sources;
}

function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current = '';
  for (const line of stanza.split('\n')) {
    const field = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (field?.[1] !== undefined) {
      current = field[1].toLowerCase();
      fields.set(current, (field[2] ?? '').trim());
    } else if (/^\s+\S/.test(line) && current !== '') {
      fields.set(current, `${fields.get(current) ?? ''}\n${line.trim()}`.trim());
    }
  }
  return fields;
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

/**
 * The mirror of the suite `codename` according to the machine's sources. Other archives may use Debian's suite names
 * for their own packages, so an archive that also has the suite's updates or security suite in `main` is preferred.
 * @throws ProvisionError
 */
export function chooseMirror(sources: readonly AptSource[], codename: string): string {
  const candidates = sources.filter(({ suite, components }) => suite === codename && components.includes('main'));
  const hasUpdates = ({ uri }: AptSource): boolean =>
    sources.some((other) => other.uri === uri && other.suite === `${codename}-updates`);
  const chosen = candidates.find(hasUpdates) ?? candidates[0];
  if (chosen !== undefined) return chosen.uri;
  const seen = sources.map(({ uri, suite }) => `${uri} ${suite}`).join(', ');
  throw new ProvisionError({
    attempted: "finding this machine's Debian mirror",
    seen: `no apt source offers ${codename} main (${seen === '' ? 'there are no apt sources' : `seen: ${seen}`})`,
    cure: 'set GHOSTCARD_MIRROR to the address of a Debian mirror (the part before "dists/"), or restore /etc/apt/sources.list',
  });
}

/** Checks the address of a mirror that the user has set. @throws ProvisionError if apt would not accept it */
export function checkedMirror(address: string): string {
  if (/^[a-z][a-z0-9+]*:\/+[^\s/[\]"][^\s[\]"]*$/i.test(address)) return address.replace(/\/+$/, '');
  throw new ProvisionError({
    attempted: 'reading the address of the Debian mirror',
    seen: `GHOSTCARD_MIRROR is ${JSON.stringify(address)}`,
    cure: 'set it to the address of a Debian mirror, the part before "dists/": https://HOST/debian or file:///FOLDER; or unset it',
  });
}

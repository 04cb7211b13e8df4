/**
 * Files of the host that commands in the guest do not see, although they see its root folder: keys, passwords and tokens
 * of its users. The list is in docs/security.md too. Under root every home folder counts, since QEMU can read them all.
 *
 * What is on the list and not there costs a look; what is there is covered in the guest, after its folders are mounted.
 */
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { type Share } from './options';

/** In a home folder. */
export const HOME_SECRETS = [
  ...['.ssh', '.gnupg', '.password-store', '.local/share/keyrings', '.config/op', '.vault-token'],
  ...['.aws', '.azure', '.config/gcloud', '.oci', '.kube', '.docker/config.json', '.config/containers/auth.json'],
  ...['.git-credentials', '.config/git/credentials', '.config/gh', '.config/glab-cli', '.config/hub', '.netrc'],
  ...['.npmrc', '.yarnrc.yml', '.pypirc', '.cargo/credentials', '.cargo/credentials.toml', '.gem/credentials'],
  ...['.m2/settings.xml', '.gradle/gradle.properties', '.terraform.d/credentials.tfrc.json', '.config/rclone'],
  ...['.pgpass', '.my.cnf', '.mozilla', '.thunderbird', '.config/google-chrome', '.config/chromium'],
  ...['.bash_history', '.zsh_history', '.python_history', '.node_repl_history', '.local/share/fish/fish_history'],
] as const;

/** Elsewhere; most of them only root can read. */
export const SYSTEM_SECRETS = [
  ...['/etc/shadow', '/etc/shadow-', '/etc/gshadow', '/etc/gshadow-', '/etc/ssl/private', '/etc/krb5.keytab'],
  ...['/etc/ssh/ssh_host_rsa_key', '/etc/ssh/ssh_host_ecdsa_key', '/etc/ssh/ssh_host_ed25519_key'],
  ...['/etc/NetworkManager/system-connections', '/etc/wireguard', '/var/lib/docker', '/var/lib/kubelet'],
] as const;

/** Changes to what is hidden: paths on the host. */
export interface Hiding {
  /** Files and folders that are hidden too. They must exist. */
  readonly hide?: readonly string[];
  /** What commands see although it is on the list; a folder stands for all of the list that is in it, '/' for all. */
  readonly reveal?: readonly string[];
}

/**
 * Paths on the host that are hidden, without those that do not exist.
 * @throws Error for a path that does not exist, or that is revealed and lies in a folder that stays hidden
 */
export function hiddenPaths({ hide = [], reveal = [] }: Hiding, homes = homeFolders()): string[] {
  for (const given of hide) if (!existsSync(given)) throw new Error(`${given} cannot be hidden: there is no such file`);
  const revealed = reveal.map((given) => path.resolve(given));
  const usual = [...homes.flatMap((home) => HOME_SECRETS.map((name) => path.join(home, name))), ...SYSTEM_SECRETS];
  const hidden = [...usual.filter((file) => !revealed.some((shown) => isIn(shown, file))), ...hide.map(absolute)];
  for (const shown of revealed) {
    const holder = hidden.find((file) => isIn(file, shown));
    if (holder !== undefined) throw new Error(`${shown} is hidden as a part of ${holder}: reveal that`);
  }
  return [...new Set(hidden)].filter((file) => existsSync(file));
}

const absolute = (file: string): string => path.resolve(file);

export const isIn = (folder: string, file: string): boolean =>
  file === folder || file.startsWith(folder.endsWith('/') ? folder : `${folder}/`);

function homeFolders(): string[] {
  const others = process.getuid?.() === 0 ? ['/root', ...homesBelow('/home')] : [];
  return [...new Set([homedir(), ...others])];
}

function homesBelow(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => path.join(folder, name));
  } catch {
    return []; // there are none
  }
}

/** Where commands in the guest would see these files of the host: in its root folder, and in folders that it shares. */
export function guestPathsOf(hidden: readonly string[], hostRoot: string, shares: readonly Share[]): string[] {
  const views = [
    { hostPath: path.resolve(hostRoot), guestPath: '/' },
    ...shares.map(({ hostPath, guestPath = path.resolve(hostPath) }) => ({
      hostPath: path.resolve(hostPath),
      guestPath,
    })),
  ];
  const files = new Set(hidden.flatMap((file) => [file, realpathSync(file)]));
  const seen = [...files].flatMap((file) =>
    views
      .filter(({ hostPath }) => isIn(hostPath, file))
      .map(({ hostPath, guestPath }) => path.posix.join(guestPath, path.relative(hostPath, file))),
  );
  return [...new Set(seen)];
}

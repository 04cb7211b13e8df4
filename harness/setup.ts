/** For `globalSetup` of a Vitest config: what guests need is there before the first worker starts, with progress shown. */
import { provisionOnce } from './provisioning';

export default async function setUp(): Promise<void> {
  await provisionOnce();
}

import { ParleyClient } from '../src/client.js';
import type { ClientOptions } from '../src/options.js';
import { FakeWorld, readyOf, settle, type FakeSocket } from './fakes.js';

export interface Harness {
  world: FakeWorld;
  client: ParleyClient;
  /** Why the token provider was asked, each time. */
  asked: string[];
}

/** A client in a fake world, not started. Its tokens are t1, t2, … */
export function harness(options: Partial<ClientOptions> = {}, world = new FakeWorld(options.env)): Harness {
  const asked: string[] = [];
  const token = (why: string): string => `t${asked.push(why)}`;
  const client = new ParleyClient({ token, url: 'ws://test/ws', ...options, env: world.env });
  return { world, client, asked };
}

/** Opens the pending socket and answers its hello. */
export async function greet(world: FakeWorld, ready: object = readyOf([{ id: 'general', headSeq: 10 }])): Promise<FakeSocket> {
  await settle();
  const { socket } = world;
  socket.open();
  await settle();
  socket.push({ ...ready, ref: socket.last('hello').ref });
  await settle();
  return socket;
}

/** A client that is online in `general`, whose head is 10. */
export async function online(options: Partial<ClientOptions> = {}): Promise<Harness & { socket: FakeSocket }> {
  const made = harness(options);
  made.client.connect();
  const socket = await greet(made.world);
  return { ...made, socket };
}

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The stack under test: the one at PARLEY_BASE_URL, or one of our own by scripts/up, with its own ports and data. */

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

const PORTS = [8080, 8081, 8082, 8083, 8084, 9081, 9082, 9083, 9084, 8422, 8432, 8433];

/** Settles where the stack is, in the environment, which the workers inherit. Returns the address of its edge. */
export async function chooseStack(): Promise<string> {
  const { env } = process;
  if (!env.PARLEY_BASE_URL) {
    const offset = await freeOffset();
    const folder = join(tmpdir(), `parley-e2e-${process.pid}`);
    env.PARLEY_PORT_OFFSET = String(offset);
    env.PARLEY_RUN_DIR = join(folder, 'run');
    env.PARLEY_E2E_FOLDER = folder;
    env.PARLEY_BASE_URL = `http://127.0.0.1:${8080 + offset}`;
  }
  return env.PARLEY_BASE_URL;
}

/** Starts our own stack, where there is none. Playwright's global set-up; what it returns is the tear-down. */
export default function setUp(): (() => void) | undefined {
  const folder = process.env.PARLEY_E2E_FOLDER;
  if (!folder) return undefined;
  const run = (...command: [string, ...string[]]) =>
    execFileSync(resolve(root, 'scripts', command[0]), command.slice(1), { cwd: root, stdio: 'inherit' });
  const tearDown = () => {
    run('down');
    rmSync(folder, { recursive: true, force: true });
  };
  mkdirSync(folder, { mode: 0o755 }); // Postgres runs as another user than root
  try {
    run('up', '--detach');
  } catch (error) {
    tearDown();
    throw error;
  }
  return tearDown;
}

/** Kills a part of the stack, as hard as it goes. */
export function kill(part: string): void {
  const runDir = resolve(root, process.env.PARLEY_RUN_DIR ?? '.run');
  process.kill(Number(readFileSync(join(runDir, 'pids', part), 'utf8')), 'SIGKILL');
}

/** Starts a part again if it does not run, and returns when it is ready. Nothing is built. */
export async function startAgain(part: string): Promise<void> {
  const env = { PARLEY_BUILD_DIR: resolve(root, 'build/release'), ...process.env };
  await promisify(execFile)(resolve(root, 'scripts/up'), ['--only', part, '--detach'], { cwd: root, env });
}

async function freeOffset(): Promise<number> {
  for (let offset = 20_000 + (process.pid % 300) * 20; offset < 50_000; offset += 20) {
    const free = await Promise.all(PORTS.map((port) => isFree(port + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new Error('there are no free ports');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

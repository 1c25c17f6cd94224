import { defineConfig, type Plugin } from 'vite';

/** The gateway and the services behind the edge, for `npm run dev`. */
const edge = process.env.PARLEY_BASE_URL ?? 'http://127.0.0.1:8080';

/** What does not depend on where files are: whom the page speaks to and what it shows is for the edge to say (deploy/edge). No default-src, which
 * would be a second word on that; both would have to allow it. */
const POLICY = [
  "script-src 'self'",
  "style-src 'self'",
  ...['font', 'frame', 'manifest', 'object', 'worker'].map((kind) => `${kind}-src 'none'`),
  "base-uri 'none'",
  "form-action 'self'",
].join('; ');

/** The built page carries this part of its content security policy, whatever serves it. */
function policy(): Plugin {
  const tag = { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' as const };
  return { name: 'parley-policy', apply: 'build', transformIndexHtml: () => [tag] };
}

export default defineConfig({
  plugins: [policy()],
  build: { outDir: '../dist', emptyOutDir: true, sourcemap: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api': edge, '/ws': { target: edge, ws: true } } },
});

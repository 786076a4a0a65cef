// A real OpenID provider (npm `oidc-provider`) on loopback, for the tests.
//
//     node server.mjs [--port N] [--control-port N]          0 or absent: any free port
//
// Prints one JSON line when it serves: {"issuer", "control", "audience", "clients": {"RS256": <client id>, …}}.
// It ends when its standard input closes, so that a killed test leaves nothing running.
//
// The provider itself is under `issuer`: discovery, /jwks, /auth, /token. `control` is for tests alone (JSON in, JSON out):
//
//   POST /control/token    {"kind", "alg"?, "subject"?, "audience"?, "expires_in"?, "nonce"?} -> {"token", "kid", "alg", "claims"}
//        kind "access"       an RFC 9068 `at+jwt` by client_credentials: `sub` is the client, so the client is named after the subject
//        kind "user-access"  an RFC 9068 `at+jwt` for a person who signed in (code + PKCE, resource indicator)
//        kind "id"           the ID token of that same sign-in; its `aud` is the client of that `alg`, see `clients`
//   POST /control/rotate   {"alg"?}               -> {"kid", "previous"}   a new key signs; the old one stays published
//   POST /control/publish  {"alg"?}               -> {"kid"}               a new key is published; the old one goes on signing
//   POST /control/retire   {"kid"}                -> {"keys"}              that key is published no longer
//   POST /control/break    {"mode"?, "path"?}     -> {}    every answer (of that path) breaks: "error" 500, "close", "hang", "garbage"
//   POST /control/restore                         -> {}
//   GET  /control/keys                            -> {"keys": [{"kid", "alg"}…]}
//   GET  /control/requests                        -> {"/jwks": 2, …}       how often each path was asked, by others than the control
//
// The token requests go over HTTP like anybody's, past whatever `break` does to others.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

// Standard output carries the one line and nothing else; the library writes its notices to it.
console.log = console.error;
console.info = console.error;

const HOST = '127.0.0.1';
const ALGORITHMS = ['RS256', 'ES256', 'PS256', 'ES384', 'EdDSA'];
const DEFAULT_AUDIENCE = 'https://latchkey.test';
const REDIRECT_URI = 'https://portal.test/callback';
const CLIENTS = Object.fromEntries(ALGORITHMS.map((alg) => [alg, `portal-${alg.toLowerCase()}`]));
const DEFAULT_LIFETIME = 300;
// Of the storage; a test makes a handful of sign-ins, a load run must not grow without end.
const MAX_ENTRIES = 10_000;

async function loadProvider() {
  const tools = process.env.LATCHKEY_TOOLS ?? fileURLToPath(new URL('../../../target/tools', import.meta.url));
  const require = createRequire(pathToFileURL(join(tools, 'oidc-provider', 'package.json')));
  let entry;
  try {
    entry = require.resolve('oidc-provider');
  } catch {
    throw new Error(`oidc-provider is not installed in ${tools}: run tests/tools/install`);
  }
  return (await import(pathToFileURL(entry))).Provider;
}

class RequestError extends Error {}

function makeKey(alg) {
  const { privateKey } = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  }[alg]();
  const kid = `${alg.toLowerCase()}-${randomBytes(6).toString('hex')}`;
  return { ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
}

// The resource indicator carries how its tokens shall be made; the library asks for that in `getResourceServerInfo`.
const resourceFor = ({ alg, audience, lifetime }) =>
  `urn:latchkey-test:${Buffer.from(JSON.stringify({ alg, audience, lifetime })).toString('base64url')}`;
const readResource = (resource) => JSON.parse(Buffer.from(resource.split(':')[2], 'base64url').toString());

// Kept outside the Provider: a rotation swaps that, and sign-ins under way go on.
function makeStorage() {
  const entries = new Map();
  const clients = new Set(Object.values(CLIENTS));
  return class Storage {
    constructor(model) {
      this.model = model;
    }

    async find(id) {
      if (this.model !== 'Client') return entries.get(`${this.model}:${id}`);
      const secret = { client_id: id, client_secret: 'not-a-secret', token_endpoint_auth_method: 'client_secret_post' };
      if (!clients.has(id)) return { ...secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
      return {
        ...secret,
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: [REDIRECT_URI],
        id_token_signed_response_alg: ALGORITHMS.find((alg) => CLIENTS[alg] === id),
      };
    }

    async findByUid(uid) {
      for (const [key, value] of entries) if (key.startsWith(`${this.model}:`) && value.uid === uid) return value;
      return undefined;
    }

    async upsert(id, payload) {
      entries.set(`${this.model}:${id}`, payload);
      if (entries.size > MAX_ENTRIES) entries.delete(entries.keys().next().value);
    }

    async consume(id) {
      const payload = entries.get(`${this.model}:${id}`);
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    }

    async destroy(id) {
      entries.delete(`${this.model}:${id}`);
    }

    async revokeByGrantId(grantId) {
      for (const [key, value] of entries) if (value.grantId === grantId) entries.delete(key);
    }
  };
}

function makeProvider(Provider, issuer, keys, storage, cookieKey) {
  return new Provider(issuer, {
    adapter: storage,
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    clientBasedCORS: () => false,
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    // Whoever signs in has consented to all that is asked for.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
      grant.addOIDCScope('openid launch');
      const { resource } = ctx.oidc.params;
      if (resource) grant.addResourceScope(resource, 'launch');
      await grant.save();
      return grant;
    },
    interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
    pkce: { required: () => true },
    scopes: ['openid', 'launch'],
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          const { alg, audience, lifetime } = readResource(resource);
          return { audience, scope: 'launch', accessTokenFormat: 'jwt', accessTokenTTL: lifetime, jwt: { sign: { alg } } };
        },
      },
    },
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? DEFAULT_LIFETIME,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? DEFAULT_LIFETIME,
      // The lifetime that the sign-in asked for is in the resource of its code.
      IdToken: (ctx) => {
        const resource = ctx.oidc.entities.AuthorizationCode?.resource;
        return resource ? readResource(resource).lifetime : DEFAULT_LIFETIME;
      },
      Interaction: 600,
      Session: 600,
      Grant: 600,
    },
  });
}

// The sign-in page of this provider: it signs in whoever the request hints at. Only the control asks for that.
async function signIn(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  await provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
}

export async function start({ port = 0, controlPort = 0 } = {}) {
  const Provider = await loadProvider();
  // What lets the control's own requests past `break`, and keeps them out of the counts.
  const pass = randomBytes(16).toString('hex');
  const cookieKey = randomBytes(16).toString('hex');
  const storage = makeStorage();
  const keys = ALGORITHMS.map(makeKey);
  const counts = {};
  let provider;
  let broken;

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://any');
    if (request.headers['x-latchkey-control'] !== pass) {
      counts[pathname] = (counts[pathname] ?? 0) + 1;
      if (broken && (!broken.path || broken.path === pathname)) return breakOff(broken.mode, request, response);
    }
    try {
      if (pathname.startsWith('/sign-in/')) await signIn(provider, request, response);
      else await provider.callback()(request, response);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
    return undefined;
  });
  await listen(server, port);
  const issuer = `http://${HOST}:${server.address().port}`;
  const rebuild = () => {
    provider = makeProvider(Provider, issuer, keys, storage, cookieKey);
    provider.on('server_error', (_ctx, error) => console.error(error));
  };
  rebuild();

  const actions = {
    'POST /control/token': (wish) => makeToken(issuer, pass, wish),
    'POST /control/rotate': ({ alg = 'RS256' }) => {
      const key = makeKey(known(alg));
      const previous = keys.find((old) => old.alg === alg)?.kid ?? null;
      // The first key of an algorithm is the one that signs.
      keys.unshift(key);
      rebuild();
      return { kid: key.kid, previous };
    },
    'POST /control/publish': ({ alg = 'RS256' }) => {
      const key = makeKey(known(alg));
      keys.push(key);
      rebuild();
      return { kid: key.kid };
    },
    'POST /control/retire': ({ kid }) => {
      const index = keys.findIndex((key) => key.kid === kid);
      if (index < 0) throw new RequestError(`no key ${kid}`);
      if (keys.filter((key) => key.alg === keys[index].alg).length === 1) {
        throw new RequestError(`${kid} is the only key for ${keys[index].alg}: rotate first`);
      }
      keys.splice(index, 1);
      rebuild();
      return { keys: listKeys(keys) };
    },
    'POST /control/break': ({ mode = 'error', path }) => {
      if (!['error', 'close', 'hang', 'garbage'].includes(mode)) throw new RequestError(`no mode ${mode}`);
      broken = { mode, path };
      // What is kept alive would otherwise be a way round a closed door.
      server.closeIdleConnections();
      return {};
    },
    'POST /control/restore': () => {
      broken = undefined;
      return {};
    },
    'GET /control/keys': () => ({ keys: listKeys(keys) }),
    'GET /control/requests': () => counts,
  };
  const control = createServer(async (request, response) => {
    const action = actions[`${request.method} ${request.url}`];
    let status = 200;
    let answer;
    try {
      if (!action) throw new RequestError(`no ${request.method} ${request.url}`);
      let body = '';
      for await (const chunk of request) body += chunk;
      answer = await action(body ? JSON.parse(body) : {});
    } catch (error) {
      status = error instanceof RequestError || error instanceof SyntaxError ? 400 : 500;
      answer = { error: String(error.message) };
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await listen(control, controlPort);

  return {
    issuer,
    control: `http://${HOST}:${control.address().port}/control`,
    audience: DEFAULT_AUDIENCE,
    clients: CLIENTS,
    close: () => {
      for (const one of [server, control]) {
        one.close();
        one.closeAllConnections();
      }
    },
  };
}

const listKeys = (keys) => keys.map(({ kid, alg }) => ({ kid, alg }));

function known(alg) {
  if (!ALGORITHMS.includes(alg)) throw new RequestError(`alg is one of ${ALGORITHMS.join(', ')}`);
  return alg;
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, resolve);
  });
}

function breakOff(mode, request, response) {
  if (mode === 'close') request.socket.destroy();
  else if (mode === 'garbage') response.writeHead(200, { 'content-type': 'application/json' }).end('<html>{"keys": [');
  else if (mode === 'error') response.writeHead(500).end();
  // "hang": never answered; the asker gives up, or the process ends.
}

async function makeToken(issuer, pass, wish) {
  const { kind = 'access', alg = 'RS256', subject = 'alice', audience = DEFAULT_AUDIENCE, expires_in: lifetime = DEFAULT_LIFETIME, nonce } = wish;
  known(alg);
  if (typeof subject !== 'string' || subject === '') throw new RequestError('subject is a string that is not empty');
  const resource = resourceFor({ alg, audience, lifetime });
  const agent = makeAgent(pass);
  let token;
  if (kind === 'access') {
    if (Object.values(CLIENTS).includes(subject)) throw new RequestError(`${subject} is a client for sign-ins`);
    token = (await askForTokens(agent, issuer, { grant_type: 'client_credentials', client_id: subject, resource, scope: 'launch' })).access_token;
  } else if (kind === 'id' || kind === 'user-access') {
    const tokens = await signInHeadlessly(agent, issuer, { client: CLIENTS[alg], subject, resource, nonce });
    token = kind === 'id' ? tokens.id_token : tokens.access_token;
  } else {
    throw new RequestError('kind is one of access, user-access, id');
  }
  const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
  return { token, kid: header.kid, alg: header.alg, claims };
}

// A browser's part: cookies kept, redirects followed until one leaves the provider.
function makeAgent(pass) {
  const cookies = new Map();
  return async (url, options = {}) => {
    const headers = { ...options.headers, 'x-latchkey-control': pass };
    if (cookies.size) headers.cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...options, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  };
}

async function askForTokens(agent, issuer, form) {
  const response = await agent(`${issuer}/token`, { method: 'POST', body: new URLSearchParams({ client_secret: 'not-a-secret', ...form }) });
  if (!response.ok) throw new Error(`the token endpoint answered ${response.status}: ${await response.text()}`);
  return response.json();
}

async function signInHeadlessly(agent, issuer, { client, subject, resource, nonce }) {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(8).toString('hex');
  const query = new URLSearchParams({
    client_id: client,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: 'openid launch',
    resource,
    login_hint: subject,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(nonce ? { nonce } : {}),
  });
  let url = `${issuer}/auth?${query}`;
  for (let step = 0; step < 6; step += 1) {
    const response = await agent(url);
    const location = response.headers.get('location');
    if (!location) throw new Error(`the sign-in stopped at ${response.status}: ${await response.text()}`);
    url = new URL(location, url).href;
    if (url.startsWith(REDIRECT_URI)) {
      const answer = new URL(url).searchParams;
      if (answer.get('state') !== state || answer.get('iss') !== issuer || !answer.has('code')) throw new Error(`the sign-in ended with ${answer}`);
      return askForTokens(agent, issuer, {
        grant_type: 'authorization_code',
        client_id: client,
        code: answer.get('code'),
        redirect_uri: REDIRECT_URI,
        code_verifier: verifier,
        resource,
      });
    }
  }
  throw new Error('the sign-in went round in circles');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, 'control-port': { type: 'string', default: '0' } } });
  // Watched from the first moment: a test may be killed before the server is up.
  process.stdin.resume().on('end', () => process.exit(0)).on('error', () => process.exit(0));
  const { issuer, control, audience, clients } = await start({ port: Number(values.port), controlPort: Number(values['control-port']) });
  process.stdout.write(`${JSON.stringify({ issuer, control, audience, clients })}\n`);
}

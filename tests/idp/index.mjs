// A real OpenID provider (the certified oidc-provider) for the tests: accounts in memory, PKCE demanded, the groups
// claim, sign-out by the person, refresh tokens that are good once. One argument, a JSON object: certificate and key
// (PEM files), client_id, client_secret, redirect_uris, post_logout_redirect_uris, backchannel_logout_uri, gateway (its
// address) and ca (PEM file) to reach it by, jwk (file that keeps the signing key), port (0: any). Prints `issuer URL`
// once it answers; ends with its input.

import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as send } from 'node:https';
import Provider from 'oidc-provider';
import { changeAccount, findAccount } from './accounts.mjs';
import { interaction } from './pages.mjs';

const wanted = JSON.parse(process.argv[2]);
const seconds = 600;

/** Made as PEM and read again: Node.js 20 can lock itself up when it exports the very key it has just made. */
function signingKey(kid) {
  if (existsSync(wanted.jwk)) return JSON.parse(readFileSync(wanted.jwk, 'utf8'));
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = { ...createPrivateKey(privateKey).export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
  writeFileSync(wanted.jwk, JSON.stringify(key), { mode: 0o600 });
  return key;
}

/** Reaches the gateway, whatever its hosts are called. */
function reach(url, options) {
  return new Promise((resolve, reject) => {
    const { hostname, port, pathname } = new URL(url);
    const { method = 'GET', headers, body } = options;
    const call = send({
      host: wanted.gateway, port, path: pathname, method, servername: hostname, ca: readFileSync(wanted.ca),
      headers: { ...Object.fromEntries(new Headers(headers)), host: `${hostname}:${port}` },
    }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(new Response(null, { status: answer.statusCode })));
    });
    call.on('error', reject);
    call.end(body === undefined ? undefined : String(body));
  });
}

async function posted(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

/** Puts somebody into other groups, or lets them go: `{ login, groups }` in, where `groups` is null for who leaves. */
async function changeForTest(request, response) {
  const { login, groups } = await posted(request);
  changeAccount(login, groups);
  response.end();
}

/** A JWT, signed as a test wants it: with our own key, with another, with the client's secret, or not at all. */
function jwt(header, claims, signer) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(claims)}`;
  const rsa = (key) => sign('sha256', Buffer.from(input), key);
  const signatures = {
    own: () => rsa(createPrivateKey({ key: jwk, format: 'jwk' })),
    another: () => rsa(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    secret: () => createHmac('sha256', wanted.client_secret).update(input).digest(),
    nobody: () => Buffer.alloc(0),
  };
  return `${input}.${signatures[signer]().toString('base64url')}`;
}

/** Signs whatever a test wants signed: `{ header, claims }` in, a JWT out. */
async function signForTest(request, response) {
  const { header, claims } = await posted(request);
  response.end(jwt(header, claims, 'own'));
}

/**
 * From now on the ID tokens tell this lie: `{ header, claims, signer, instead }`, all optional. A claim that is null is
 * left out, `instead` stands for the whole token. Null: the truth again.
 */
async function lieForTest(request, response) {
  lie = await posted(request);
  response.end();
}

function lied(token) {
  if (lie.instead !== undefined) return lie.instead;
  const claims = { ...JSON.parse(Buffer.from(token.split('.')[1], 'base64url')), ...lie.claims };
  for (const name of Object.keys(claims)) if (claims[name] === null) delete claims[name];
  return jwt({ alg: 'RS256', typ: 'JWT', kid: jwk.kid, ...lie.header }, claims, lie.signer ?? 'own');
}

let lie = null;
const jwk = signingKey('test-1');

/** Everyone agrees to everything: consent is not what these tests are about. */
async function loadExistingGrant(context) {
  const { client, session, provider } = context.oidc;
  const known = session.grantIdFor(client.clientId);
  if (known) return provider.Grant.find(known);
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid profile groups');
  await grant.save();
  return grant;
}

const configuration = {
  clients: [{
    client_id: wanted.client_id,
    client_secret: wanted.client_secret,
    redirect_uris: wanted.redirect_uris,
    post_logout_redirect_uris: wanted.post_logout_redirect_uris,
    backchannel_logout_uri: wanted.backchannel_logout_uri,
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    id_token_signed_response_alg: 'RS256',
  }],
  jwks: { keys: [jwk] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  claims: {
    openid: ['sub', 'amr', 'auth_time', 'sid'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  conformIdTokenClaims: false,
  features: {
    backchannelLogout: { enabled: true }, devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true },
  },
  fetch: reach,
  findAccount,
  // Whoever signs in can be asked about again, as at Keycloak; others want the scope `offline_access` for it.
  issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  loadExistingGrant,
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'groups'],
  ttl: {
    AccessToken: seconds, AuthorizationCode: 60, Grant: seconds, IdToken: seconds, Interaction: seconds,
    RefreshToken: seconds, Session: seconds,
  },
};

const server = createServer({ cert: readFileSync(wanted.certificate), key: readFileSync(wanted.key) });
server.listen(wanted.port, '127.0.0.1', () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  provider.use(async (context, next) => {
    await next();
    if (lie !== null && context.path === '/token' && context.body?.id_token) {
      context.body = { ...context.body, id_token: lied(context.body.id_token) };
    }
  });
  const answerOthers = provider.callback();
  server.on('request', async (request, response) => {
    try {
      if (request.url === '/test/sign') return await signForTest(request, response);
      if (request.url === '/test/lie') return await lieForTest(request, response);
      if (request.url === '/test/account') return await changeForTest(request, response);
      if (!(await interaction(provider, request, response))) answerOthers(request, response);
    } catch (error) {
      response.writeHead(400, { 'content-type': 'text/plain' });
      response.end(`${error.name}: ${error.error_description ?? error.message}`);
    }
  });
  console.log(`issuer ${issuer}`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

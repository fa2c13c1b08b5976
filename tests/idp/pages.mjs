// The one page of the provider: who are you? A plain form, so that a browser and a plain HTTP client can fill it in.

import { accounts } from './accounts.mjs';

/** Answers the pages under `/interaction/`; true where the request was one of them. */
export async function interaction(provider, request, response) {
  const [, page, uid, step] = new URL(request.url, provider.issuer).pathname.split('/');
  if (page !== 'interaction') return false;
  if (request.method === 'GET' && step === undefined) {
    await provider.interactionDetails(request, response);
    html(response, 200, form(uid));
  } else if (request.method === 'POST' && step === 'login') {
    const fields = await posted(request);
    await answer(provider, request, response, fields);
  } else {
    html(response, 404, '<p>no such page</p>');
  }
  return true;
}

async function answer(provider, request, response, fields) {
  if (fields.get('cancel') !== null) {
    const refusal = { error: 'access_denied', error_description: 'the person went away' };
    return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
  }
  const login = fields.get('login') ?? '';
  if (!accounts.has(login)) return html(response, 401, '<p>nobody of that name</p>');
  const amr = fields.get('second-factor') === null ? ['pwd'] : ['pwd', 'mfa'];
  const result = { login: { accountId: login, amr, remember: fields.get('remember') !== null } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function posted(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 4096) break;
  }
  return new URLSearchParams(text);
}

function form(uid) {
  return `<form method="post" action="/interaction/${encodeURIComponent(uid)}/login">
    <label>Login <input id="login" name="login" autofocus></label>
    <label>Show a second factor <input id="second-factor" name="second-factor" type="checkbox"></label>
    <label>Remember me <input id="remember" name="remember" type="checkbox"></label>
    <button id="continue">Continue</button>
    <button id="cancel" name="cancel" value="yes">Cancel</button>
  </form>`;
}

function html(response, status, body) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
  response.end(`<!doctype html><html lang="en"><title>Test provider</title><body>${body}</body></html>`);
}

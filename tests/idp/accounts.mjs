// The people who can sign in. Invented, all of them; the login name is also the subject.

/** Login name to what the provider says of the person. */
export const accounts = new Map(Object.entries({
  nurse: { name: '看護 花子', groups: ['ward-nurses'] },
  doctor: { name: '医師 太郎', groups: ['doctors'] },
  clerk: { name: '事務 次郎', groups: ['clerks'] },
  pharmacist: { name: '薬剤 五郎', groups: ['pharmacists'] },
  vendor: { name: '保守 三郎', groups: ['vendors'] },
  auditor: { name: '監査 幸子', groups: ['auditors'] },
  administrator: { name: '管理 四郎', groups: ['it-staff'] },
  stranger: { name: '部外 者', groups: ['visitors'] },
}));

/** Finds an account the way oidc-provider asks for it. */
export function findAccount(_context, login) {
  const person = accounts.get(login);
  if (person === undefined) return undefined;
  return {
    accountId: login,
    claims: () => ({ sub: login, preferred_username: login, name: person.name, groups: person.groups }),
  };
}

/** Puts somebody into other groups, or, without any, lets them go. */
export function changeAccount(login, groups) {
  if (groups === null) accounts.delete(login);
  else accounts.get(login).groups = groups;
}

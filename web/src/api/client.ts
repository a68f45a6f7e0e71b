import createClient from 'openapi-fetch';
import { ApiError, asApiError, errorOf } from './error';
import type { components, paths } from './schema';

export type Schema = components['schemas'];
export type Pagination = Schema['Pagination'];

/** What boot.js has asked for already, by path and query; each answer serves one call, and soon. */
const early = (globalThis as { billetEarly?: Record<string, Promise<Response>> }).billetEarly ?? {};
setTimeout(() => {
  for (const url of Object.keys(early)) delete early[url];
}, 20_000);

function fetchOnce(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const begun = request.method === 'GET' ? early[pathname + search] : undefined;
  if (!begun) return fetch(request);
  delete early[pathname + search];
  return begun.catch(() => fetch(request));
}

/** The typed client of docs/openapi.json; same origin, with the session's cookie. */
export const api = createClient<paths>({ baseUrl: '', fetch: fetchOnce });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

let signInRequired: () => void = () => {};

/** Called once by the app: what to do when a call finds the session ended. */
export function onSignInRequired(act: () => void) {
  signInRequired = act;
}

function refuse(error: ApiError): never {
  if (error.signInRequired) signInRequired();
  throw error;
}

async function open<T>(call: Promise<Answer<T>>): Promise<T> {
  const answer = await call.catch((thrown: unknown) => refuse(asApiError(thrown)));
  if (answer.response.ok && answer.data !== undefined) return answer.data;
  return refuse(errorOf(answer.response, answer.error));
}

/** The data of a call's envelope, or an ApiError. */
export async function data<T>(call: Promise<Answer<{ data: T }>>): Promise<T> {
  return (await open(call)).data;
}

export interface Page<T> {
  rows: T[];
  pagination: Pagination;
}

/** One page of a list. */
export async function page<T>(call: Promise<Answer<{ data: T[]; pagination: Pagination }>>): Promise<Page<T>> {
  const body = await open(call);
  return { rows: body.data, pagination: body.pagination };
}

/** Every page of a list that is short by nature (facets, keys, volumes): at most a thousand entries. */
export async function everything<T>(
  call: (page: number) => Promise<Answer<{ data: T[]; pagination: Pagination }>>,
): Promise<T[]> {
  const first = await page(call(1));
  const rows = first.rows;
  for (let n = 2; n <= Math.min(first.pagination.totalPages, 10); n++) rows.push(...(await page(call(n))).rows);
  return rows;
}

export { ApiError };

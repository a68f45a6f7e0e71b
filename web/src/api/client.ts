// Calls of the API: typed by docs/openapi.json, unwrapped from the envelope, and with an ApiError
// for every failure.

import createClient, { type FetchOptions, type FetchResponse } from 'openapi-fetch';
import type { FilterKeys, HttpMethod, PathsWithMethod } from 'openapi-typescript-helpers';
import { ApiError, asApiError, errorOf } from './error';
import type { components, paths } from './schema';

export type Schema = components['schemas'];
export type Pagination = Schema['Pagination'];

/** The methods that the dashboard calls. */
export type Method = Extract<HttpMethod, 'get' | 'post' | 'put' | 'patch' | 'delete'>;
export type Path<M extends Method> = PathsWithMethod<paths, M>;

/** What a call takes: its parameters and its body. */
export type Init<P extends keyof paths, M extends Method> = FetchOptions<FilterKeys<paths[P], M>>;

type Operation<P extends keyof paths, M extends Method> = Extract<paths[P][M], Record<string | number, unknown>>;
type Body<P extends keyof paths, M extends Method> = NonNullable<
  FetchResponse<Operation<P, M>, { parseAs: 'json' }, 'application/json'>['data']
>;

/** What a call returns inside the envelope's `data`. */
export type Data<P extends keyof paths, M extends Method> =
  Body<P, M> extends infer B ? (B extends { data: infer D } ? D : never) : never;
export type Row<P extends keyof paths> = Data<P, 'get'> extends (infer R)[] ? R : never;

/** The query parameters of a GET. */
export type Query<P extends Path<'get'>> = NonNullable<paths[P]['get']['parameters']['query']>;

/**
 * The requests that boot.js has started, by path and query. Each response is used once, and soon.
 */
const early = (globalThis as { billetEarly?: Record<string, Promise<Response>> }).billetEarly ?? {};
setTimeout(() => {
  for (const url of Object.keys(early)) delete early[url];
}, 20_000);

function fetchOnce(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const started = request.method === 'GET' ? early[pathname + search] : undefined;
  if (!started) return fetch(request);
  delete early[pathname + search];
  return started.catch(() => fetch(request));
}

/** Same origin, with the session's cookie. */
const client = createClient<paths>({ baseUrl: '', fetch: fetchOnce });

interface Envelope {
  data: unknown;
  pagination?: Pagination;
  /** The ETag of the response, for If-Match. */
  etag?: string;
}

type Untyped = (
  method: Method,
  path: string,
  init?: object,
) => Promise<{ data?: Envelope; error?: unknown; response: Response }>;

let signInRequired: () => void = () => {};

/** Called once by the app: what to do when a call finds that the session has ended. */
export function onSignInRequired(act: () => void) {
  signInRequired = act;
}

async function request(method: Method, path: string, init?: object): Promise<Envelope> {
  try {
    const { data, error, response } = await (client.request as unknown as Untyped)(method, path, init);
    if (response.ok && data !== undefined) return { ...data, etag: response.headers.get('ETag') ?? undefined };
    throw errorOf(response, error);
  } catch (thrown) {
    const error = asApiError(thrown);
    if (error.signInRequired) signInRequired();
    throw error;
  }
}

/** Calls the API and returns the envelope's data. */
export async function call<M extends Method, P extends Path<M>>(
  method: M,
  path: P,
  init?: Init<P, M>,
): Promise<Data<P, M>> {
  return (await request(method, path as string, init)).data as Data<P, M>;
}

/** Reads one thing with its version, for a change that must not overwrite another's. */
export async function read<P extends Path<'get'>>(path: P): Promise<{ value: Data<P, 'get'>; etag: string }> {
  const { data, etag } = await request('get', path as string);
  return { value: data as Data<P, 'get'>, etag: etag ?? '*' };
}

export interface Page<T> {
  rows: T[];
  pagination: Pagination;
}

/** One page of a list. */
export async function page<P extends Path<'get'>>(path: P, init: Init<P, 'get'>): Promise<Page<Row<P>>> {
  const { data, pagination } = await request('get', path, init);
  return { rows: data as Row<P>[], pagination: pagination as Pagination };
}

/**
 * Every page of a list that is short by nature (facets, keys, volumes): at most a thousand entries.
 */
export async function allPages<P extends Path<'get'>>(path: P, query: object = {}): Promise<Row<P>[]> {
  const read = (n: number) => page(path, { params: { query: { ...query, page: n, limit: 100 } } } as Init<P, 'get'>);
  const first = await read(1);
  const rows = first.rows;
  for (let n = 2; n <= Math.min(first.pagination.totalPages, 10); n++) rows.push(...(await read(n)).rows);
  return rows;
}

export { ApiError };

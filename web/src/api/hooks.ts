// The hooks of every page: a path of the API is all that a page names. The query key is the path
// and its parameters, so that events and changes refresh by path.

import { type UseQueryResult, useMutation, useQuery } from '@tanstack/react-query';
import { allPages, call, type Data, type Init, type Method, type Path, page, type Query, type Row } from './client';
import { ApiError } from './error';

interface Options<T> {
  enabled?: boolean;
  /** 'static' is never fetched again, not even after a change. */
  staleTime?: number | 'static';
  gcTime?: number;
  retry?: false;
  refetchInterval?: number | false | ((query: { state: { data: T | undefined } }) => number | false);
}

/** The options of a query for one resource. */
export function getQuery<P extends Path<'get'>>(path: P, init?: Init<P, 'get'>) {
  const { params } = (init ?? {}) as { params?: object };
  return { queryKey: [path, params ?? {}], queryFn: () => call('get', path, init) };
}

/** Reads one resource. */
export function useGet<P extends Path<'get'>>(
  path: P,
  init?: Init<P, 'get'>,
  options: Options<Data<P, 'get'>> = {},
): UseQueryResult<Data<P, 'get'>, Error> {
  return useQuery<Data<P, 'get'>>({ ...getQuery(path, init), ...options });
}

/** Reads every row of a short list. */
export function useAll<P extends Path<'get'>>(
  path: P,
  query: Omit<Query<P>, 'page' | 'limit'> | object = {},
  options: Options<Row<P>[]> = {},
): UseQueryResult<Row<P>[], Error> {
  return useQuery<Row<P>[]>({ queryKey: [path, 'all', query], queryFn: () => allPages(path, query), ...options });
}

/** The options of a query for one page of a list. */
export function pageQuery<P extends Path<'get'>>(path: P, init: Init<P, 'get'>) {
  const { params } = init as { params?: object };
  return { queryKey: [path, 'page', params ?? {}] as const, queryFn: () => page(path, init) };
}

/**
 * A call that changes something. What is on the screen is read again after it succeeds (see
 * queries.ts).
 */
export function useSend<M extends Exclude<Method, 'get'>, P extends Path<M>>(method: M, path: P) {
  return useMutation<Data<P, M>, Error, Init<P, M>>({ mutationFn: (init) => call(method, path, init) });
}

/** The parameters of a call for the resource with this id. */
export function withId(id: string) {
  return { params: { path: { id } } };
}

/** Whether a path of a field is the other one, or leads into it. `named` is not in `name`. */
export function isWithin(field: string, path: string): boolean {
  return field.startsWith(path) && ['', '.', '['].includes(field.charAt(path.length));
}

/** The errors of a refused form: by field, and what is about no field. */
export function fieldErrors(thrown: unknown) {
  const fields = thrown instanceof ApiError ? thrown.fields : [];
  return {
    /** The message for a field, or for what is in it, such as `mail.port` in `mail`. */
    at: (...paths: string[]) => fields.find((f) => paths.some((p) => isWithin(f.field, p)))?.message,
    /** What is to be shown apart from the fields. */
    general: fields.length === 0 ? thrown : null,
  };
}

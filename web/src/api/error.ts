// What went wrong with a call, in the API's own words, so that every page can show code, message and request id.

export interface FieldFault {
  field: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 where no answer came at all. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown> = {},
    readonly requestId: string | null = null,
    /** Seconds after which another try makes sense, where the server says so. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** The faults of an INVALID_REQUEST, each with the field it is about. */
  get fields(): FieldFault[] {
    const list = this.details.fields;
    return Array.isArray(list) ? (list as FieldFault[]) : [];
  }

  /** Whether the API as a whole is failing, rather than refusing this call. */
  get outage(): boolean {
    return this.status === 0 || this.status >= 500;
  }

  get signInRequired(): boolean {
    // A session's cookie that is gone altogether is, to the API, a call without a key.
    return this.status === 401 && (this.code === 'SIGN_IN_REQUIRED' || this.code === 'MISSING_API_KEY');
  }
}

/** Anything thrown, as an ApiError: what fetch itself throws means that no answer came. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof TypeError)
    return new ApiError(0, 'NO_ANSWER', 'The server did not answer. Check your connection and try again.');
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiError(0, 'UNEXPECTED', message);
}

/** Reads the failure envelope; a proxy's HTML page becomes a failure too. */
export function errorOf(response: Response, body: unknown): ApiError {
  const failure = (body as { error?: { code?: string; message?: string; details?: Record<string, unknown> } })?.error;
  const retry = Number(response.headers.get('Retry-After'));
  return new ApiError(
    response.status,
    failure?.code ?? `HTTP_${response.status}`,
    failure?.message ?? 'The answer was not one of Billet: something between here and the server answered instead.',
    failure?.details,
    response.headers.get('X-Request-Id'),
    Number.isFinite(retry) && retry > 0 ? retry : null,
  );
}

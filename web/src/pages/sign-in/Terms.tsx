import type { Schema } from '../../api/client';

/** The label of the box that accepts the terms of service. */
export function Terms({ of }: { of: Schema['SignInOptions']['signUp'] }) {
  const blank = { target: '_blank', rel: 'noreferrer' };
  return (
    <>
      I accept the{' '}
      <a href={of.termsUrl} {...blank}>
        terms of service
      </a>
      {of.privacyUrl && (
        <>
          {' '}
          and have read the{' '}
          <a href={of.privacyUrl} {...blank}>
            privacy policy
          </a>
        </>
      )}
    </>
  );
}

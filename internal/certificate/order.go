package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
)

// orderTime limits one order, challenges included. An ACME server that does not answer within it
// has refused.
const orderTime = 2 * time.Minute

// recordTime limits the recording of a certificate, which is tried every recordEvery. It is shorter
// than the lease of the lock.
const recordTime, recordEvery = 20 * time.Second, 500 * time.Millisecond

// sealedFor is the purpose of a domain's sealed private key.
func sealedFor(domain string) string { return "certificate/" + domain }

// attempt orders the domain's certificate if it is still due and no other replica does so. The
// attempt is recorded before the ACME server is asked, and its outcome afterwards.
func (m *Manager) attempt(ctx context.Context, domain string) error {
	lock, got, err := m.store.try(ctx, "order/"+domain)
	if err != nil || !got {
		return err
	}
	defer func() {
		if err := lock.release(ctx); err != nil {
			m.cfg.Log.WarnContext(
				ctx,
				"cannot release a lock before its lease is over",
				"lock",
				lock.name,
				"error",
				err,
			)
		}
	}()
	var r record
	var due bool
	err = m.cfg.DB.InTx(lock.ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := m.cfg.Time(ctx, tx)
		if err != nil {
			return err
		}
		if r, err = find(ctx, tx, domain); err != nil {
			return err
		}
		if due = r.due(now, m.usable(r)); !due {
			return nil
		}
		r.failures++
		r.next, r.fault = now.Add(wait(r.failures)), "The attempt has not ended."
		return put(ctx, tx, r)
	})
	if err != nil || !due {
		return err
	}
	within, cancel := context.WithTimeout(lock.ctx, orderTime)
	defer cancel()
	m.cfg.Log.InfoContext(ctx, "ordering a certificate", "domain", domain, "acme_directory", m.cfg.Directory,
		"attempt", r.failures)
	chain, key, failed := m.order(within, m.issuer(r.failures), domain)
	if cause := context.Cause(lock.ctx); failed != nil && cause != nil {
		return cause // lost or stopped: what is recorded already says so
	}
	return m.conclude(ctx, lock, r, chain, key, failed)
}

// conclude records the outcome of an attempt.
func (m *Manager) conclude(ctx context.Context, lock *held, r record, chain, key []byte, failed error) error {
	var leaf *x509.Certificate
	if failed == nil {
		var pair tls.Certificate
		if pair, failed = parsePair(r.domain, chain, key); failed == nil {
			leaf = pair.Leaf
		}
	}
	set := func(ctx context.Context, tx *db.Tx) error {
		now, err := m.cfg.Time(ctx, tx)
		if err != nil {
			return err
		}
		if failed != nil {
			r.fault = explain(r.domain, m.cfg.Directory, failed)
			r.next = now.Add(wait(r.failures))
			if limited(failed) {
				r.next = now.Add(max(wait(r.failures), limitedDelay))
			}
			return put(ctx, tx, r)
		}
		r.chain, r.sealed = string(chain), m.cfg.Secrets.Seal(sealedFor(r.domain), key)
		r.notBefore, r.notAfter = &leaf.NotBefore, &leaf.NotAfter
		r.failures, r.fault, r.next = 0, "", now.Add(rest(leaf.NotBefore, leaf.NotAfter))
		return put(ctx, tx, r)
	}
	err := m.cfg.DB.InTx(lock.ctx, set)
	if err != nil && failed == nil {
		err = m.insist(lock, set, err)
	}
	if err == nil && failed != nil {
		m.cfg.Log.ErrorContext(ctx, "cannot get a certificate", "domain", r.domain, "reason", r.fault,
			"next_attempt", r.next, "failures", r.failures)
	}
	return err
}

// insist records an issued certificate although that has failed: ACME servers issue few. It goes on
// while the server stops, but not without the lock.
func (m *Manager) insist(lock *held, set func(context.Context, *db.Tx) error, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(lock.ctx), recordTime)
	defer cancel()
	for err != nil && !errors.Is(err, errLost) {
		m.cfg.Log.WarnContext(ctx, "cannot record a certificate; trying again", "lock", lock.name, "error", err)
		if (clock.System{}).SleepUntil(ctx, time.Now().Add(recordEvery)) != nil {
			return err
		}
		err = m.cfg.DB.InTx(ctx, set)
	}
	return err
}

// issuer returns what orders in that attempt, counted from 1. An attempt uses one type of
// challenge, the next the other one: with both, it could be two failed validations, of which the
// ACME server allows few.
func (m *Manager) issuer(attempt int64) *certmagic.ACMEIssuer {
	if m.overHTTP != nil && attempt%2 == 1 {
		return m.overHTTP
	}
	return m.overTLS
}

// order gets a certificate for the domain, and returns its chain and its private key in PEM.
func (m *Manager) order(
	ctx context.Context, issuer *certmagic.ACMEIssuer, domain string,
) (chain, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.CertificateRequest{DNSNames: []string{domain}}
	raw, err := x509.CreateCertificateRequest(rand.Reader, template, private)
	if err != nil {
		return nil, nil, err
	}
	request, err := x509.ParseCertificateRequest(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := issuer.PreCheck(ctx, []string{domain}, false); err != nil {
		return nil, nil, err
	}
	issued, err := issuer.Issue(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	return issued.Certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parsePair returns the certificate with its key, if both fit each other and the domain.
func parsePair(domain string, chain, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return tls.Certificate{}, err
		}
	}
	return pair, pair.Leaf.VerifyHostname(domain)
}

// limited reports whether the ACME server refused because of its rate limits.
func limited(err error) bool {
	p, is := errors.AsType[acme.Problem](err)
	return is && (p.Type == acme.ProblemTypeRateLimited || p.Status == 429)
}

// maxFault limits what is kept of an error, in bytes: an ACME server can write anything into it.
const maxFault = 1000

// explain returns what went wrong and what to do.
func explain(domain, directory string, err error) string {
	reason := printable(err.Error())
	reach := fmt.Sprintf("Check that the DNS records (A, AAAA and CAA) of %s lead to this server only, and that its "+
		"ports 80 and 443 can be reached from the internet.", domain)
	p, is := errors.AsType[acme.Problem](err)
	if !is {
		if errors.Is(err, context.DeadlineExceeded) {
			return "The ACME server did not finish in time. " + reach
		}
		return fmt.Sprintf("The ACME server %s cannot be used: %s.", directory, strings.TrimSuffix(reason, "."))
	}
	reason = printable(p.Detail)
	for _, sub := range p.Subproblems {
		reason = strings.TrimSpace(reason + " " + printable(sub.Detail))
	}
	reason = strings.TrimSuffix(reason, ".")
	switch p.Type {
	case acme.ProblemTypeRateLimited:
		return fmt.Sprintf("The ACME server's rate limit is reached: %s.", reason)
	case acme.ProblemTypeDNS, acme.ProblemTypeConnection, acme.ProblemTypeUnauthorized,
		acme.ProblemTypeIncorrectResponse, acme.ProblemTypeTLS, acme.ProblemTypeCAA:
		return fmt.Sprintf("The ACME server could not verify the domain: %s. %s", reason, reach)
	}
	return fmt.Sprintf("The ACME server refused: %s.", reason)
}

// printable returns the text in one line, without control characters, and not too long.
func printable(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) > maxFault {
		text = strings.ToValidUTF8(text[:maxFault], "") + "…"
	}
	return text
}

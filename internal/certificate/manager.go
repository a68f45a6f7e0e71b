package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"go.uber.org/zap"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/secret"
)

const (
	// challengePath begins the paths of HTTP-01 challenges.
	challengePath = "/.well-known/acme-challenge/"
	// challengeTime limits the answer to a challenge, and challenges how many are answered at once:
	// anybody may ask, and each asks the database.
	challengeTime, challenges = 5 * time.Second, 8
	// cleanEvery is how often what is over is deleted.
	cleanEvery = time.Hour
)

// ChallengeProtocol is what a listener of TLS must offer for TLS-ALPN-01 challenges.
const ChallengeProtocol = acmez.ACMETLS1Protocol

// LetsEncrypt is the directory of the default ACME server.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Config configures a Manager.
type Config struct {
	DB      *db.DB
	Secrets *secret.Box
	Log     *slog.Logger
	// Domains get a certificate each, by the ACME server with this directory URL. Email may be "".
	Domains          []string
	Directory, Email string
	// Roots verify the ACME server; nil for the system's.
	Roots *x509.CertPool
	// Host, TLSPort and HTTPPort are where this server listens. HTTPPort is 0 if it does not listen
	// on plain HTTP; then there are no HTTP-01 challenges.
	Host              string
	TLSPort, HTTPPort int
	// Time reads the database's real clock; db.Time if nil.
	Time func(ctx context.Context, r db.Reader) (time.Time, error)
}

// Manager gets, renews and selects certificates of its domains.
type Manager struct {
	cfg   Config
	store *storage
	magic *certmagic.Config
	cache *certmagic.Cache
	// overHTTP and overTLS order with one type of challenge each. overHTTP is nil if this server
	// does not listen on plain HTTP.
	overHTTP, overTLS *certmagic.ACMEIssuer
	// answering counts the challenges that are being answered.
	answering chan struct{}
	spare     *tls.Certificate

	work    context.Context // of attempts
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	loaded map[string]loaded // by domain
	// unusable are the chains by domain that could not be used.
	unusable map[string]string
	busy     bool // attempts are running
	cleaned  time.Time
}

// loaded is a certificate in use.
type loaded struct {
	chain       string // as stored
	certificate *tls.Certificate
}

// New returns a Manager without certificates: Round loads, orders and renews them. It must be
// closed.
func New(c Config) (*Manager, error) {
	if c.Time == nil {
		c.Time = db.Time
	}
	spare, err := selfSigned()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: c, answering: make(chan struct{}, challenges), spare: spare,
		loaded: map[string]loaded{}, unusable: map[string]string{},
	}
	m.work, m.stop = context.WithCancel(context.Background())
	m.store = &storage{
		locks: locks{c.DB, c.Time, c.Log}, secrets: c.Secrets, held: map[string]*held{},
	}
	// certmagic's own maintenance has nothing to do: no certificate is in its cache.
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		Logger:           zap.NewNop(),
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{Storage: m.store, Logger: zap.NewNop(), DisableARI: true})
	template := certmagic.ACMEIssuer{
		CA: c.Directory, TestCA: c.Directory, Email: c.Email, Agreed: true, TrustedRoots: c.Roots,
		ListenHost: c.Host, AltHTTPPort: c.HTTPPort, AltTLSALPNPort: c.TLSPort,
		CertObtainTimeout: orderTime, Logger: zap.NewNop(),
	}
	template.DisableHTTPChallenge = true
	m.overTLS = certmagic.NewACMEIssuer(m.magic, template)
	if c.HTTPPort != 0 {
		template.DisableHTTPChallenge, template.DisableTLSALPNChallenge = false, true
		m.overHTTP = certmagic.NewACMEIssuer(m.magic, template)
	}
	m.magic.Issuers = []certmagic.Issuer{m.overTLS} // for the answers to challenges of both types
	return m, nil
}

// Close cancels running attempts and waits for their end.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.stop() // from now on, no attempt starts
	m.mu.Unlock()
	m.running.Wait()
	m.cache.Stop()
	return nil
}

// Round uses the certificates that this or another replica has got, and starts what is due: it
// orders and renews beside the caller.
func (m *Manager) Round(ctx context.Context) error {
	now, err := m.cfg.Time(ctx, m.cfg.DB)
	if err != nil {
		return err
	}
	stored, err := list(ctx, m.cfg.DB, m.cfg.Domains)
	if err != nil {
		return err
	}
	byDomain := map[string]record{}
	for _, r := range stored {
		byDomain[r.domain] = r
		m.use(ctx, r, now)
	}
	var due []string
	for _, domain := range m.cfg.Domains {
		if r := byDomain[domain]; r.due(now, m.usable(r)) {
			due = append(due, domain)
		}
	}
	m.start(due)
	return m.clean(ctx, now)
}

// use loads the certificate of the row, if it is another one than the loaded one.
func (m *Manager) use(ctx context.Context, r record, now time.Time) {
	m.mu.Lock()
	known, unusable := m.loaded[r.domain].chain, m.unusable[r.domain]
	m.mu.Unlock()
	if r.chain == "" || r.chain == known || r.chain == unusable {
		return
	}
	pair, err := m.open(r)
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unusable[r.domain] = r.chain // so that it is logged once
		m.cfg.Log.WarnContext(ctx, "a stored certificate cannot be used; getting another one", "domain", r.domain,
			"error", err)
		return
	}
	m.cfg.Log.InfoContext(ctx, "using a certificate", "domain", r.domain, "valid_until", pair.Leaf.NotAfter,
		"days", int(pair.Leaf.NotAfter.Sub(now).Hours()/24), "renewal_at", r.renewAt())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loaded[r.domain] = loaded{r.chain, &pair}
}

func (m *Manager) open(r record) (tls.Certificate, error) {
	key, err := m.cfg.Secrets.Open(sealedFor(r.domain), r.sealed)
	if err != nil {
		return tls.Certificate{}, err
	}
	return parsePair(r.domain, []byte(r.chain), key)
}

// usable reports whether there is a certificate in the row that this server can use.
func (m *Manager) usable(r record) bool {
	if r.chain == "" {
		return false
	}
	m.mu.Lock()
	known := m.loaded[r.domain].chain
	m.mu.Unlock()
	if r.chain == known {
		return true
	}
	_, err := m.open(r)
	return err == nil
}

// start attempts the domains one after the other, beside the caller, unless attempts are running.
func (m *Manager) start(domains []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(domains) == 0 || m.busy || m.work.Err() != nil {
		return
	}
	m.busy = true
	m.running.Go(func() {
		for _, domain := range domains {
			if err := m.attempt(m.work, domain); err != nil && m.work.Err() == nil {
				m.cfg.Log.ErrorContext(m.work, "cannot attempt to get a certificate", "domain", domain, "error", err)
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.busy = false
	})
}

// Settle waits until no attempt is running.
func (m *Manager) Settle() { m.running.Wait() }

// clean deletes what is over, once in a while.
func (m *Manager) clean(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	wait := now.Sub(m.cleaned) < cleanEvery
	m.mu.Unlock()
	if wait {
		return nil
	}
	err := m.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return deleteOld(ctx, tx, now) })
	if err != nil {
		return fmt.Errorf("delete old certificates: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cleaned = now
	return nil
}

// Get returns the certificate of a handshake. Clients that name no domain, such as health checks,
// get the first domain's; before there is one, they get one that no client trusts.
func (m *Manager) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name != "" && !slices.Contains(m.cfg.Domains, name) {
		return nil, fmt.Errorf("no certificate for %.100q", name)
	}
	if slices.Equal(hello.SupportedProtos, []string{acmez.ACMETLS1Protocol}) {
		return m.answerTLS(hello)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != "" {
		if c := m.loaded[name].certificate; c != nil {
			return c, nil
		}
		return nil, fmt.Errorf("there is no certificate for %s yet", name)
	}
	if c := m.loaded[m.cfg.Domains[0]].certificate; c != nil {
		return c, nil
	}
	return m.spare, nil
}

var errBusy = errors.New("too many challenges at once")

// answerTLS answers a TLS-ALPN-01 challenge, which this or another replica has ordered.
func (m *Manager) answerTLS(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" {
		return nil, errors.New("a challenge without a server name")
	}
	select {
	case m.answering <- struct{}{}:
		defer func() { <-m.answering }()
	default:
		return nil, errBusy
	}
	return m.magic.GetCertificate(hello)
}

// AnswerHTTP answers the request if it is an HTTP-01 challenge for a domain. It reports whether it
// has answered.
func (m *Manager) AnswerHTTP(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, challengePath) {
		return false
	}
	host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	if !slices.Contains(m.cfg.Domains, host) {
		return false
	}
	select {
	case m.answering <- struct{}{}:
		defer func() { <-m.answering }()
	default:
		http.Error(w, errBusy.Error(), http.StatusServiceUnavailable)
		return true
	}
	ctx, cancel := context.WithTimeout(r.Context(), challengeTime)
	defer cancel()
	if m.overHTTP == nil || !m.overHTTP.HandleHTTPChallenge(w, r.WithContext(ctx)) {
		http.Error(w, "There is no such challenge.", http.StatusNotFound)
	}
	return true
}

// Ends returns the end of each certificate in use by its domain.
func (m *Manager) Ends() map[string]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	ends := map[string]time.Time{}
	for domain, l := range m.loaded {
		ends[domain] = l.certificate.Leaf.NotAfter
	}
	return ends
}

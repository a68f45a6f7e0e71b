package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/certificate"
	"github.com/billetcloud/billet/internal/emailaddr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// certificatesEvery is how often changed files, certificates of other replicas and renewals are
	// looked for.
	certificatesEvery = 5 * time.Second
	// maxDomains limits --tls-domain: each domain has a certificate of its own.
	maxDomains = 20
	// plainTime limits a request to the plain address, and its response.
	plainTime = 10 * time.Second
)

// certificates are where the certificate of a handshake comes from: ACME or files.
type certificates interface {
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Round looks for changes.
	Round(context.Context) error
	// Ends returns the end of each certificate in use by its domain.
	Ends() map[string]time.Time
}

// usesTLS reports whether Listen is for TLS.
func (c Config) usesTLS() bool { return c.TLSDomain != "" || c.TLSCert != "" }

// tlsDomains returns the domains of TLSDomain.
func (c Config) tlsDomains() []string {
	var domains []string
	for part := range strings.SplitSeq(c.TLSDomain, ",") {
		if part = strings.ToLower(strings.TrimSpace(part)); part != "" && !slices.Contains(domains, part) {
			domains = append(domains, part)
		}
	}
	return domains
}

// publicURL is PublicURL, or that of the first domain with a certificate.
func (c Config) publicURL() string {
	if domains := c.tlsDomains(); c.PublicURL == "" && len(domains) > 0 {
		return "https://" + domains[0]
	}
	return c.PublicURL
}

// domainName matches names of at least two labels, the last of which is not a number.
var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c Config) checkTLS() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	domains := c.tlsDomains()
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("--tls-cert and --tls-key must be used together")
	}
	if c.TLSDomain != "" && c.TLSCert != "" {
		bad("use either --tls-domain or --tls-cert with --tls-key, not both")
	}
	if len(domains) > maxDomains || (c.TLSDomain != "" && len(domains) == 0) {
		bad("--tls-domain must be 1 to %d domains, separated by commas", maxDomains)
	}
	for _, d := range domains {
		if len(d) > 253 || !domainName.MatchString(d) {
			bad("--tls-domain: %q is not a domain such as gpu.example.com; wildcards and addresses cannot be used", d)
		}
	}
	if c.TLSEmail != "" {
		if fault := emailaddr.Check(c.TLSEmail); fault != "" {
			bad("--tls-email %s", strings.TrimSuffix(fault, "."))
		}
	}
	if u, err := url.Parse(c.TLSACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		bad("--tls-acme-directory must be an https URL")
	}
	return errors.Join(append(errs, c.checkPlain(domains)...)...)
}

// checkPlain checks what belongs to the redirect from plain HTTP.
func (c Config) checkPlain(domains []string) (errs []error) {
	if c.HTTPListen != "" {
		if _, _, err := net.SplitHostPort(c.HTTPListen); err != nil {
			errs = append(errs, fmt.Errorf("--http-listen: %w", err))
		}
		if !c.usesTLS() {
			errs = append(errs, errors.New("--http-listen redirects to https, so it needs --tls-domain or --tls-cert"))
		}
	}
	public, err := parsePublicURL(c.publicURL())
	switch {
	case err != nil || !c.usesTLS(): // reported elsewhere
	case public == nil:
		errs = append(errs, errors.New("--tls-cert needs --public-url, such as https://gpu.example.com"))
	case public.Scheme != "https":
		errs = append(errs, errors.New("--public-url must be an https URL if the server uses TLS"))
	case len(domains) > 0 && !slices.Contains(domains, public.Hostname()):
		errs = append(errs, fmt.Errorf("--public-url: %s must be one of the domains of --tls-domain",
			public.Hostname()))
	}
	return errs
}

// front returns the servers of the API's address and of plain HTTP beside it, with their listeners.
func (a *App) front(ctx context.Context, l net.Listener) ([]*http.Server, []net.Listener, error) {
	main := a.server(a.handler)
	if !a.cfg.usesTLS() {
		return []*http.Server{main}, []net.Listener{rest.Guard(main, l)}, nil
	}
	var plain net.Listener
	if a.cfg.HTTPListen != "" {
		var err error
		if plain, err = net.Listen("tcp", a.cfg.HTTPListen); err != nil {
			return nil, nil, fmt.Errorf("--http-listen: %w; %s", err, afterListen(err))
		}
		a.closers = append(a.closers, func() error { return ignoreClosed(plain.Close()) })
	}
	answer, err := a.openCertificates(ctx, l, plain)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.certs.Get}
	if answer != nil {
		config.NextProtos = []string{certificate.ChallengeProtocol}
	}
	secure := rest.Secure(l, config, a.cfg.Log)
	servers, listeners := []*http.Server{main}, []net.Listener{rest.Guard(main, secure)}
	if plain != nil {
		redirects := a.server(a.redirect(answer))
		redirects.ReadTimeout, redirects.WriteTimeout = plainTime, plainTime
		servers, listeners = append(servers, redirects), append(listeners, plain)
	}
	return servers, listeners, nil
}

// afterListen says what to do when an address cannot be listened on.
func afterListen(err error) string {
	if errors.Is(err, syscall.EACCES) {
		return "ports below 1024 need the capability CAP_NET_BIND_SERVICE; see docs/install.md, or choose another"
	}
	return "is another server running? Choose another address"
}

// at is the URL of the server that listens at the address: the public one where TLS needs the name.
func (a *App) at(l net.Addr) string {
	if a.cfg.usesTLS() {
		return a.public.String()
	}
	return "http://" + reachable(l)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// openCertificates sets certs, and uses the certificates that there are. It returns what answers
// challenges over plain HTTP, nil without ACME.
func (a *App) openCertificates(
	ctx context.Context, secure, plain net.Listener,
) (answer func(http.ResponseWriter, *http.Request) bool, err error) {
	if a.cfg.TLSCert != "" {
		a.certs, err = certificate.OpenFiles(ctx, a.cfg.TLSCert, a.cfg.TLSKey, a.cfg.Log, time.Now)
		return nil, err
	}
	var roots *x509.CertPool
	if a.cfg.TLSACMECAFile != "" {
		text, err := os.ReadFile(a.cfg.TLSACMECAFile)
		if err != nil {
			return nil, fmt.Errorf("--tls-acme-ca-file: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("--tls-acme-ca-file has no certificate in PEM")
		}
	}
	at := secure.Addr().(*net.TCPAddr)
	c := certificate.Config{
		DB: a.DB, Secrets: a.secrets, Log: a.cfg.Log, Domains: a.cfg.tlsDomains(),
		Directory: a.cfg.TLSACMEDirectory, Email: a.cfg.TLSEmail, Roots: roots, TLSPort: at.Port,
	}
	if !at.IP.IsUnspecified() {
		c.Host = at.IP.String()
	}
	if plain != nil {
		c.HTTPPort = plain.Addr().(*net.TCPAddr).Port
	}
	m, err := certificate.New(c)
	if err != nil {
		return nil, err
	}
	a.certs = m
	a.closers = append(a.closers, m.Close)
	return m.AnswerHTTP, m.Round(ctx)
}

// redirect sends browsers to the public URL. It never redirects to the host that a request names:
// that is whatever the client says. Other requests are refused, because they have already sent
// their secrets in the clear and would do so again.
func (a *App) redirect(answer func(http.ResponseWriter, *http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil && answer(w, r) {
			return
		}
		path := r.URL.EscapedPath()
		if !strings.HasPrefix(path, "/") {
			path = "/"
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			if r.URL.RawQuery != "" {
				path += "?" + r.URL.RawQuery
			}
			w.Header().Set("Cache-Control", "max-age=3600")
			http.Redirect(w, r, a.public.String()+path, http.StatusPermanentRedirect)
			return
		}
		requestID := a.IDs.New(id.Request)
		w.Header().Set("X-Request-Id", string(requestID))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "error": map[string]any{
			"code": apierr.InvalidRequest, "requestId": requestID, "retryable": false,
			"message": "This address only redirects to https. Send the request to " + a.public.String() + path +
				", and replace the API key or password if the request contained one.",
		}})
	})
}

// certificateEnds returns the end of each certificate in use by its domain.
func (a *App) certificateEnds() map[string]time.Time {
	if a.certs == nil {
		return nil
	}
	return a.certs.Ends()
}

// certificateGauge is the metric of certificates.
type certificateGauge struct{ ends func() map[string]time.Time }

var certificateDesc = prometheus.NewDesc("billet_certificate_remaining_seconds",
	"How long the certificate that this replica uses for the domain is still valid.", []string{"domain"}, nil)

// Describe sends the description.
func (certificateGauge) Describe(to chan<- *prometheus.Desc) { to <- certificateDesc }

// Collect sends a gauge for each certificate in use.
func (g certificateGauge) Collect(to chan<- prometheus.Metric) {
	for domain, end := range g.ends() {
		to <- prometheus.MustNewConstMetric(certificateDesc, prometheus.GaugeValue, time.Until(end).Seconds(), domain)
	}
}

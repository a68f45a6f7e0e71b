package certificate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"sync"
	"time"
)

// maxFile limits the size of a file with certificates or a key.
const maxFile = 1 << 20

// Files is a certificate that an operator has put into two files, and replaces there.
type Files struct {
	chainFile, keyFile string
	log                *slog.Logger
	now                func() time.Time

	mu          sync.Mutex
	certificate *tls.Certificate
	chain, key  []byte // as read
	fault       string // why they cannot be read or used now
}

// OpenFiles returns the certificate in the files, which are in PEM.
func OpenFiles(ctx context.Context, chainFile, keyFile string, log *slog.Logger, now func() time.Time) (*Files, error) {
	f := &Files{chainFile: chainFile, keyFile: keyFile, log: log, now: now}
	return f, f.load(ctx)
}

// Round reads the files, and uses the certificate in them if they have changed. While it cannot be
// used, the previous one stays in use; each reason is logged once.
func (f *Files) Round(ctx context.Context) error {
	fault := ""
	if err := f.load(ctx); err != nil {
		fault = err.Error()
	}
	f.mu.Lock()
	news := fault != f.fault
	f.fault = fault
	f.mu.Unlock()
	if news && fault != "" {
		f.log.ErrorContext(ctx, "cannot use the changed certificate; the previous one stays in use", "error", fault)
	}
	return nil
}

func (f *Files) load(ctx context.Context) error {
	chain, err := read(f.chainFile)
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	key, err := read(f.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	f.mu.Lock()
	same := bytes.Equal(chain, f.chain) && bytes.Equal(key, f.key)
	f.mu.Unlock()
	if same {
		return nil
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err == nil && pair.Leaf == nil {
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	if err != nil {
		return fmt.Errorf("--tls-cert and --tls-key: %w; the key must belong to the first certificate", err)
	}
	left := pair.Leaf.NotAfter.Sub(f.now())
	level := slog.LevelInfo
	if left <= 0 {
		level = slog.LevelWarn
	}
	f.log.Log(ctx, level, "using a certificate", "file", f.chainFile, "domains", pair.Leaf.DNSNames,
		"valid_until", pair.Leaf.NotAfter, "days", int(left.Hours()/24))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.certificate, f.chain, f.key = &pair, chain, key
	return nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return os.ReadFile(path)
}

// Get returns the certificate, whatever the client calls the server.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.certificate == nil {
		return nil, errors.New("there is no certificate")
	}
	return f.certificate, nil
}

// Ends returns the end of the certificate, by its first name.
func (f *Files) Ends() map[string]time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.certificate == nil {
		return nil
	}
	leaf := f.certificate.Leaf
	name := leaf.Subject.CommonName
	if len(leaf.DNSNames) > 0 {
		name = leaf.DNSNames[0]
	}
	return map[string]time.Time{name: leaf.NotAfter}
}

// selfSigned returns a certificate that no client trusts, for those that do not verify it.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// For any time: the clock may be wrong.
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

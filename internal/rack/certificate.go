package rack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// identity is the certificate by which agents know this program.
type identity struct {
	ID          int64
	Certificate string // DER in hex
	Key         string // sealed
	CreatedAt   time.Time
}

// certificatePurpose is what the key of the certificate is sealed for.
const certificatePurpose = "rack/certificate"

// Certificate returns the certificate that is shown on the provisioning network, and its SHA-256,
// which agents have. It is made once; all replicas have the same.
func (s *Service) Certificate(ctx context.Context) (c tls.Certificate, pin string, err error) {
	i, found, err := findIdentity(ctx, s.cfg.DB)
	if err == nil && !found {
		i, err = s.newIdentity(ctx)
	}
	if err != nil {
		return c, "", err
	}
	der, err := hex.DecodeString(i.Certificate)
	if err != nil {
		return c, "", err
	}
	text, err := s.cfg.Secrets.Open(certificatePurpose, i.Key)
	if err != nil {
		return c, "", fmt.Errorf("the key of the provisioning network cannot be decrypted: %w", err)
	}
	key, err := x509.ParseECPrivateKey(text)
	if err != nil {
		return c, "", err
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:]), nil
}

func (s *Service) newIdentity(ctx context.Context) (i identity, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return i, err
	}
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return i, err
	}
	// Servers' clocks may be wrong, and agents compare the certificate itself.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Billet provisioning"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return i, err
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		made := identity{
			ID: 1, Certificate: hex.EncodeToString(der), Key: s.cfg.Secrets.Seal(certificatePurpose, text),
			CreatedAt: tx.Now,
		}
		if err := addIdentity(ctx, tx, made); err != nil {
			return err
		}
		i, _, err = findIdentity(ctx, tx) // another replica's, if it was faster
		return err
	})
	return i, err
}

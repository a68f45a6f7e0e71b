package racktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/billetcloud/billet/internal/rackagent"
)

// Provisioning are the calls of agents over HTTPS at the address of the provisioning network.
// isoPath is where images are.
func Provisioning(url, isoPath string) Calls {
	ask := func(ctx context.Context, pin, method, path, token string, body []byte) ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		a, err := pinned(func() string { return pin }).Do(r)
		if err != nil {
			return nil, err
		}
		defer func() { _ = a.Body.Close() }()
		text, err := io.ReadAll(a.Body)
		if err == nil && a.StatusCode/100 != 2 {
			err = fmt.Errorf("%s %s: %s", method, path, a.Status)
		}
		return text, err
	}
	return Calls{
		Image: func(ctx context.Context, token string) (rackagent.Parameters, error) {
			line, err := ask(ctx, "", "GET", isoPath+token+".iso", "", nil)
			if err != nil {
				return rackagent.Parameters{}, err
			}
			return rackagent.ParseCommandLine(string(line))
		},
		Job: func(ctx context.Context, p rackagent.Parameters) (j rackagent.Job, err error) {
			text, err := ask(ctx, p.Pin, "GET", rackagent.JobPath, p.Token, nil)
			return j, errors.Join(err, json.Unmarshal(text, &j))
		},
		Report: func(ctx context.Context, p rackagent.Parameters, report rackagent.Report) error {
			text, err := json.Marshal(report)
			if err == nil {
				_, err = ask(ctx, p.Pin, "POST", rackagent.ReportsPath, p.Token, text)
			}
			return err
		},
	}
}

// pinned is an HTTP client that accepts one certificate only, as an agent does.
func pinned(pin func() string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // compared below
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			if got := hex.EncodeToString(sum[:]); pin() != "" && got != pin() {
				return fmt.Errorf("the certificate is %s, not %s", got, pin())
			}
			return nil
		},
	}}}
}

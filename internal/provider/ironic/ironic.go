package ironic

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// version of the API: that with the field retired. Ironic has it since 2020.
	version       = "1.61"
	versionHeader = "X-Openstack-Ironic-Api-Version"

	pollEvery = 10 * time.Second
	// launchLimit is for servers whose firmware takes ten minutes at each of several starts.
	launchLimit = time.Hour

	imagesSetting = "images"
	// changeTries is how often a change is tried whose node is locked.
	changeTries = 10
)

// Adapter is an Ironic. It is safe for concurrent use.
type Adapter struct {
	account  upstream.Account
	client   *upstream.Client
	images   []image
	nodes    *upstream.List[node]
	locks    upstream.KeyedLock
	warnings upstream.WarnOnce
}

// New returns the Adapter of the account. It makes no request; an error says what to fix.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare("set it to the user and password of Ironic's HTTP basic authentication, as user:password",
		imagesSetting)
	if err != nil {
		return nil, err
	}
	if user, password, is := strings.Cut(a.Credential, ":"); !is || user == "" || password == "" {
		return nil, errors.New("provider " + a.Slug + ": the API key must be user:password")
	}
	a.BaseURL = strings.TrimSuffix(strings.TrimRight(a.BaseURL, "/"), "/v1")
	if a.BaseURL == "" {
		return nil, errors.New("provider " + a.Slug + ": set the base URL to that of Ironic: https://host:6385")
	}
	images, err := parseImages(a.Settings[imagesSetting])
	if err != nil {
		return nil, a.SettingError(imagesSetting, err)
	}
	x := &Adapter{account: a, images: images}
	x.client, err = upstream.NewClient(upstream.Config{
		Account: a, Every: 20 * time.Millisecond, Burst: 20, Timeout: time.Minute, Explain: explain,
		Authorize: func(h http.Header, credential string) {
			h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credential)))
			h.Set(versionHeader, version)
		},
	})
	if err != nil {
		return nil, err
	}
	x.nodes = upstream.NewList(a.Now, x.fetchNodes)
	return x, nil
}

// Info implements provider.Provider. A name makes a launch unique, so nothing has to settle.
func (x *Adapter) Info() provider.Info {
	return x.account.Info(provider.Info{LaunchLimit: launchLimit, SyncEvery: time.Minute, PollEvery: pollEvery})
}

// TakesHostKey implements provider.HostKeyTaker: a host key goes with the user data.
func (x *Adapter) TakesHostKey(string) bool { return true }

// change sends a request that changes something, again while the node is locked.
func (x *Adapter) change(ctx context.Context, method, path string, body, into any) error {
	for try := 1; ; try++ {
		err := x.client.Do(ctx, upstream.Request{Method: method, Path: path, Body: body, Into: into})
		e, is := errors.AsType[*provider.Error](err)
		if !is || e.Kind != provider.KindUnavailable || e.RetryAfter == 0 || try == changeTries {
			return err
		}
		if x.account.Sleep(ctx, lockedPause) != nil {
			return err
		}
	}
}

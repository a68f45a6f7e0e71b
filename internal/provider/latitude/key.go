package latitude

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// keysAge is how old the list of keys may be that a key is found on.
const keysAge = time.Minute

// key is an SSH key at the cloud.
type key struct {
	ID        string `json:"-"`
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

func (k key) named(name string) bool {
	return upstream.KeyName(k.PublicKey) == name || k.PublicKey == "" && k.Name == name
}

func (l *Adapter) fetchKeys(ctx context.Context) ([]key, error) {
	list, _, err := l.all(ctx, "/ssh_keys", nil)
	if err != nil {
		return nil, err
	}
	out := make([]key, 0, len(list))
	for _, r := range list {
		k := key{}
		if err := json.Unmarshal(r.Attributes, &k); err != nil {
			l.skipped(ctx, "/ssh_keys", r.ID)
			continue
		}
		k.ID = r.ID
		out = append(out, k)
	}
	return out, nil
}

// keyID returns the id of the key of that upstream.KeyName, or "", from a list that is at most that
// old.
func (l *Adapter) keyID(ctx context.Context, name string, age time.Duration) (string, error) {
	list, err := l.sshKeys.Recent(ctx, age)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(list, func(k key) bool { return k.named(name) }); i >= 0 {
		return list[i].ID, nil
	}
	return "", nil
}

// findKey returns the id of the key with that material, or "".
func (l *Adapter) findKey(ctx context.Context, line string) (string, error) {
	known, err := l.keyID(ctx, upstream.KeyName(line), keysAge)
	if err == nil && known == "" {
		known, err = l.keyID(ctx, upstream.KeyName(line), 0)
	}
	return known, err
}

func (l *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	var response struct{ Data resource }
	body := key{Name: name, PublicKey: public}
	err := l.send(ctx, http.MethodPost, "/ssh_keys", "ssh_keys", body, &response)
	l.sshKeys.Forget()
	return response.Data.ID, err
}

// ForgetKey implements provider.KeyForgetter.
func (l *Adapter) ForgetKey(ctx context.Context, line string) error {
	known, err := l.keyID(ctx, upstream.KeyName(line), 0)
	if err != nil || known == "" {
		return err
	}
	err = l.send(ctx, http.MethodDelete, "/ssh_keys/"+url.PathEscape(known), "", nil, nil)
	l.sshKeys.Forget()
	return upstream.IgnoreNotFound(err)
}

// keysNamed returns the ids of keys that were uploaded before.
func (l *Adapter) keysNamed(ctx context.Context, names []string) ([]string, error) {
	var ids []string
	for _, name := range names {
		known, err := l.keyID(ctx, name, 0)
		if err != nil {
			return nil, err
		}
		if known != "" {
			ids = append(ids, known)
		}
	}
	if len(ids) < len(names) || len(ids) == 0 { // it would be installed with fewer keys than its tenant has
		return nil, upstream.Rejected(
			"This machine cannot be reinstalled: the provider no longer has its SSH keys. Deploy a new one.")
	}
	return ids, nil
}

// keysLine is the prefix of the line of a record that names the keys of its machine.
const keysLine = "# billet-keys:"

// userData is a stored object of user data.
type userData struct {
	Description string `json:"description"`
	Content     string `json:"content"` // base64
}

// record is what a machine was launched with, stored as its user data.
type record struct {
	id        string
	keys      []string // by upstream.KeyName
	cloudInit bool
}

// recordText returns the cloud-config of the request, with the names of its keys in the second
// line.
func recordText(r provider.LaunchRequest) string {
	first, rest, _ := strings.Cut(r.CloudInit, "\n")
	if r.CloudInit == "" {
		first = "#cloud-config"
	}
	var names []string
	for _, k := range r.AuthorizedKeys {
		if name := upstream.KeyName(k); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.TrimRight(first, "\r") + "\n" + keysLine + " " + strings.Join(names, " ") + "\n" + rest
}

// parse returns the record in the object, and whether there is one.
func (u userData) parse() (r record, ok bool) {
	content, err := base64.StdEncoding.DecodeString(strings.TrimSpace(u.Content))
	if err != nil {
		return record{}, false
	}
	_, rest, _ := strings.Cut(string(content), "\n")
	line, rest, _ := strings.Cut(rest, "\n")
	names, ok := strings.CutPrefix(line, keysLine)
	return record{keys: strings.Fields(names), cloudInit: strings.TrimSpace(rest) != ""}, ok
}

// storeRecord stores the record of a machine. One that is stored again after a lost response has
// the same content.
func (l *Adapter) storeRecord(ctx context.Context, r provider.LaunchRequest) (string, error) {
	var response struct{ Data resource }
	err := l.send(ctx, http.MethodPost, "/user_data", "user_data", userData{
		Description: upstream.Mark(r.Reference), Content: base64.StdEncoding.EncodeToString([]byte(recordText(r))),
	}, &response)
	if err == nil && response.Data.ID == "" {
		err = upstream.Malformed("the id of the user data that it created", nil)
	}
	return response.Data.ID, err
}

// readRecord reads the record of a machine.
func (l *Adapter) readRecord(ctx context.Context, reference id.ID) (record, error) {
	list, _, err := l.all(ctx, "/user_data", nil)
	if err != nil {
		return record{}, err
	}
	for _, r := range list {
		var u userData
		if json.Unmarshal(r.Attributes, &u) != nil || u.Description != upstream.Mark(reference) {
			continue
		}
		if found, ok := u.parse(); ok {
			found.id = r.ID
			return found, nil
		}
	}
	return record{}, nil
}

// deleteRecord deletes a record, if there is one. One that remains does no harm.
func (l *Adapter) deleteRecord(ctx context.Context, record string) {
	if record == "" {
		return
	}
	if err := l.send(ctx, http.MethodDelete, "/user_data/"+url.PathEscape(record), "", nil, nil); err != nil {
		l.account.Log.InfoContext(ctx, "stored user data could not be deleted",
			"provider", l.account.Slug, "id", upstream.CleanText(record), "error", err)
	}
}

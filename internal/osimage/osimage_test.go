package osimage_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/osimage"
	"github.com/billetcloud/billet/internal/provider"
)

const mine, theirs id.ID = "acc_mine", "acc_theirs"

func fields(name string) osimage.Fields {
	return osimage.Fields{
		Name: name, URL: "https://images.example.com/a.qcow2", SHA256: strings.Repeat("aB", 32),
		Format: provider.ImageQCOW2, SizeBytes: 618_925_568,
	}
}

type kit struct {
	*testing.T
	*osimage.Service
	db *db.DB
}

func each(t *testing.T, f func(k kit)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		check := func(url string) string {
			if strings.HasPrefix(url, "https://") {
				return ""
			}
			return "must begin with https://."
		}
		f(kit{t, osimage.New(osimage.Config{DB: d, IDs: id.NewMaker(c, rand.Reader), Check: check}), d})
	})
}

func (k kit) create(account id.ID, f osimage.Fields) (i osimage.Image, err error) {
	err = k.db.InTx(k.Context(), func(ctx context.Context, tx *db.Tx) error {
		i, err = k.Create(ctx, tx, account, f, creator.ByOperator)
		return err
	})
	return i, err
}

func (k kit) made(account id.ID, f osimage.Fields) osimage.Image {
	k.Helper()
	i, err := k.create(account, f)
	if err != nil {
		k.Fatal(err)
	}
	return i
}

func (k kit) want(err error, code apierr.Code) *apierr.Error {
	k.Helper()
	e, is := errors.AsType[*apierr.Error](err)
	if !is || e.Code != code {
		k.Fatalf("got %v, want %s", err, code)
	}
	return e
}

func TestImagesAreOfOneAccount(t *testing.T) {
	each(t, func(k kit) {
		i := k.made(mine, fields("rocky"))
		got, err := k.Get(k.Context(), k.db, mine, i.ID)
		if err != nil || got != i || got.SHA256 != strings.Repeat("ab", 32) {
			k.Fatalf("%+v %v", got, err)
		}
		k.made(theirs, fields("rocky")) // the name is free there
		_, err = k.Get(k.Context(), k.db, theirs, i.ID)
		k.want(err, apierr.NotFound)
		if _, found, err := k.Find(k.Context(), k.db, theirs, i.ID); found || err != nil {
			k.Fatal(found, err)
		}
		remove := func(account id.ID) error {
			return k.db.InTx(k.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := k.Delete(ctx, tx, account, i.ID)
				return err
			})
		}
		k.want(remove(theirs), apierr.NotFound)
		list, n, err := k.List(k.Context(), k.db, mine, db.NameFilter{}, db.NewestFirst, db.Page{Number: 1, Limit: 20})
		if err != nil || n.Total != 1 || list[0] != i {
			k.Fatal(list, n, err)
		}
		if e := k.want(second(k.create(mine, fields("rocky"))), apierr.Conflict); e.Details["id"] != i.ID {
			k.Fatalf("%+v", e)
		}
		if err := remove(mine); err != nil {
			k.Fatal(err)
		}
		k.want(remove(mine), apierr.NotFound)
	})
}

func second(_ osimage.Image, err error) error { return err }

func TestEveryFaultOfAnImageIsNamed(t *testing.T) {
	each(t, func(k kit) {
		for _, c := range []struct {
			change func(*osimage.Fields)
			want   string
		}{
			{func(f *osimage.Fields) { *f = osimage.Fields{} }, "name url sha256 format sizeBytes"},
			{func(f *osimage.Fields) { f.URL = "http://images.example.com" }, "url"},
			{func(f *osimage.Fields) { f.SHA256 = f.SHA256[1:] }, "sha256"},
			{func(f *osimage.Fields) { f.SHA256 = strings.Repeat("g", 64) }, "sha256"},
			{func(f *osimage.Fields) { f.Format = "vmdk" }, "format"},
			{func(f *osimage.Fields) { f.SizeBytes = 0 }, "sizeBytes"},
			{func(f *osimage.Fields) { f.SizeBytes = osimage.MaxBytes + 1 }, "sizeBytes"},
		} {
			f := fields("rocky")
			c.change(&f)
			var got []string
			for _, x := range k.want(second(k.create(mine, f)), apierr.InvalidRequest).Fields() {
				got = append(got, x.Field)
			}
			if want := strings.Fields(c.want); !slices.Equal(got, want) {
				k.Errorf("%v, want %v", got, want)
			}
		}
	})
}

func TestImagesAreLimited(t *testing.T) {
	each(t, func(k kit) {
		for n := range osimage.MaxPerAccount {
			k.made(mine, fields(fmt.Sprint(n)))
		}
		k.want(second(k.create(mine, fields("more"))), apierr.LimitReached)
		k.made(theirs, fields("more"))
	})
}

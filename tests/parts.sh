#!/bin/sh
# Install what the tests run for real: as root, from Debian's packages. Elsewhere, say what is left out.
set -eu

PACKAGES="slurm-wlm slurmctld slurmd slurmdbd slurm-client slurm-wlm-basic-plugins
    slurm-wlm-mysql-plugin slurm-wlm-torque munge mariadb-server openssh-server openssh-client procps tcsh
    nginx-light postgresql chromium chromium-headless-shell libatomic1 fonts-dejavu-core systemd"
PROGRAMS="slurmctld slurmd slurmdbd sbatch qsub munged mariadbd sshd tcsh nginx chromium systemd-analyze"

has() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

missing() {
    for program in $PROGRAMS; do has "$program" || printf ' %s' "$program"; done
    /sbin/ldconfig -p | grep -q libatomic.so.1 || printf ' libatomic'  # for Playwright's driver
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || has postgres || printf ' postgres'
}

# Chromium without windows is a fourth of the work. Where it cannot be had, Chromium itself will do.
lighten() {
    has chromium-headless-shell || [ "$(id -u)" != 0 ] || ! has apt-get || {
        echo "Installing chromium-headless-shell ..."
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium-headless-shell; } \
            </dev/null >/dev/null 2>&1 || echo "It cannot be had: chromium will do."
    }
}

left_out=$(missing)
[ -n "$left_out" ] || { lighten; exit 0; }

if [ "$(id -u)" != 0 ] || ! has apt-get; then
    echo "Not here:$left_out."
    echo "The tests that need them are left out and named at the end; as root on Debian, make test installs them."
    exit 0
fi

# No service that is installed here may start by itself: the tests start their own.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$guard"
    chmod +x "$guard"
    trap 'rm -f "$guard"' EXIT
fi

echo "Installing what the tests run for real (missing:$left_out) ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq </dev/null
offered=
for package in $PACKAGES; do
    if apt-cache show "$package" >/dev/null 2>&1; then offered="$offered $package"; fi
done
# shellcheck disable=SC2086 -- names of packages, one a word
apt-get install -y -qq --no-install-recommends $offered </dev/null >/dev/null

left_out=$(missing)
[ -z "$left_out" ] || echo "Not offered by this system's packages:$left_out. Their tests are left out."

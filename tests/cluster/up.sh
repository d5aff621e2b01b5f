#!/bin/bash
# up.sh BASE PORTBASE: bring up, or leave up, a real Slurm cluster with a private sshd as its login
# node, on this one machine and from Debian's packages; without systemd, on 127.0.0.1 alone.
#
# A daemon that lives is left alone, so that it also brings back what a fault has stopped.
# Everything is under BASE except the unix users with their homes, and /run/sshd.
# The ports are PORTBASE + 6 database, 17 slurmctld, 19 slurmdbd, 20 relay, 22 sshd, 30... slurmd.
#
# Environment (defaults):
#   HUT_USERS="hut hut2"    login users, made if missing; `name:/bin/shell` names a login shell
#   HUT_SLURM=1             0: the login node alone
#   HUT_CLUSTER=hutPORTBASE its ClusterName
#   HUT_ACCT=1              0: no accounting at all
#   HUT_NODES=2             cpu nodes n1..., and one gpu node g1
#   HUT_CPUS=4 HUT_MEM=4000 what every node claims to have (MB)
#   HUT_MIN_JOB_AGE=300     seconds that an ended job stays in the queue's memory
#   HUT_SLURM_EXTRA=""      more lines for slurm.conf
#   HUT_SSHD_EXTRA=""       more lines for sshd_config; they win over those here
#   HUT_SSHD=/usr/sbin/sshd the program, whose name is also the service that PAM knows it by
set -euo pipefail
umask 022
BASE=${1:?usage: up.sh BASE PORTBASE}
PORTBASE=${2:?usage: up.sh BASE PORTBASE}
mkdir -p "$BASE"
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

HUT_USERS=${HUT_USERS:-hut hut2}
HUT_SLURM=${HUT_SLURM:-1}
HUT_CLUSTER=${HUT_CLUSTER:-hut$PORTBASE}
HUT_ACCT=${HUT_ACCT:-1}
HUT_NODES=${HUT_NODES:-2}
HUT_CPUS=${HUT_CPUS:-4}
HUT_MEM=${HUT_MEM:-4000}
HUT_MIN_JOB_AGE=${HUT_MIN_JOB_AGE:-300}
HUT_SSHD=${HUT_SSHD:-/usr/sbin/sshd}
NAMES=()
for entry in $HUT_USERS; do NAMES+=("${entry%%:*}"); done
HOST=$(hostname -s)
MUNGE=$BASE/run/munge/munge.socket.2
PORT_SQL=$((PORTBASE + 6)) PORT_CTLD=$((PORTBASE + 17)) PORT_DBD=$((PORTBASE + 19))
PORT_RELAY=$((PORTBASE + 20)) PORT_SSH=$((PORTBASE + 22)) PORT_NODES=$((PORTBASE + 30))

[ "$(id -u)" = 0 ] || die "only root can start daemons under several users"

# daemon NAME USER DIRECTORY COMMAND...: start it detached, in a session of its own
daemon() {
  local name=$1 user=$2 directory=$3
  shift 3
  (
    cd "$directory"
    exec setsid setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@" \
      >>"$BASE/log/$name.out" 2>&1 </dev/null
  ) &
  echo $! >"$BASE/run/$name.pid"
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

make_users() {
  local entry name shell
  for entry in $HUT_USERS; do
    name=${entry%%:*} shell=/bin/bash
    case $entry in *:*) shell=${entry#*:} ;; esac
    id "$name" >/dev/null 2>&1 || useradd -m -s "$shell" "$name"
    [ "$(getent passwd "$name" | cut -d: -f7)" = "$shell" ] || usermod -s "$shell" "$name"
    # sshd keeps a locked account out, whatever its key; `*` is no password, and not locked.
    case $(getent shadow "$name" | cut -d: -f2) in '!'*) usermod -p '*' "$name" ;; esac
    add_hook "$(getent passwd "$name" | cut -d: -f6)/.bashrc"
  done
}

# The first line of .bashrc, which bash reads for every command that sshd starts: HUT_RC is set by
# the sshd of one cluster, so that clusters which share a home disturb only themselves.
add_hook() {
  local hook='if [ -n "$HUT_RC" ] && [ -e "$HUT_RC" ]; then . "$HUT_RC"; fi'
  (
    flock 9
    grep -qxF "$hook" "$1" 2>/dev/null || { printf '%s\n' "$hook" && cat "$1" 2>/dev/null || true; } >"$1.new"
    if [ -e "$1.new" ]; then chown --reference="$(dirname "$1")" "$1.new" && mv "$1.new" "$1"; fi
  ) 9>/tmp/.hut-users.lock
}

make_directories() {
  mkdir -p "$BASE"/{etc/login,run,log,ssh/keys,ssh/authorized,shim,client,fault}
  chmod 755 "$BASE" && chmod 711 "$BASE/ssh/keys" && chmod 700 "$BASE/client"
  [ "$HUT_SLURM" = 1 ] || return 0
  mkdir -p "$BASE"/{spool,dev}
  install -d -o slurm -g slurm "$BASE/state" "$BASE/run/slurm" "$BASE/log"
  install -d -o munge -g munge "$BASE/munge" "$BASE/run/munge"
  install -d -o mysql -g mysql "$BASE/mysql" "$BASE/run/mysql"
}

start_munge() {
  ! pid munged >/dev/null || return 0
  [ -s "$BASE/munge/key" ] || head -c 128 /dev/urandom >"$BASE/munge/key"
  chown munge:munge "$BASE/munge/key" && chmod 600 "$BASE/munge/key"
  rm -f "$MUNGE" "$MUNGE.lock"
  daemon munged munge "$BASE/munge" munged --foreground --socket="$MUNGE" --num-threads=4 \
    --key-file="$BASE/munge/key" --seed-file="$BASE/munge/seed" \
    --log-file="$BASE/munge/log" --pid-file="$BASE/run/munge/munged.pid"
  await 10 test -S "$MUNGE" || die "munged: $(cat "$BASE/log/munged.out")"
}

start_database() {
  local sql=(mariadb --no-defaults -S "$BASE/run/mysql/mysqld.sock" -u root)
  [ -d "$BASE/mysql/mysql" ] || mariadb-install-db --no-defaults --user=mysql \
    --datadir="$BASE/mysql" --skip-test-db --auth-root-authentication-method=socket \
    --innodb-log-file-size=8M >"$BASE/log/mariadb-install.log" 2>&1 ||
    die "mariadb-install-db: $(grep -i error "$BASE/log/mariadb-install.log" | head -5)"
  cat >"$BASE/etc/my.cnf" <<END
[mariadbd]
datadir=$BASE/mysql
socket=$BASE/run/mysql/mysqld.sock
pid-file=$BASE/run/mysql/mariadbd.pid
bind-address=127.0.0.1
port=$PORT_SQL
skip-name-resolve
innodb_buffer_pool_size=64M
innodb_log_file_size=8M
innodb_lock_wait_timeout=900
innodb_flush_log_at_trx_commit=0
innodb_flush_method=nosync
performance_schema=OFF
aria_pagecache_buffer_size=8M
key_buffer_size=1M
max_connections=40
END
  pid mariadbd >/dev/null ||
    daemon mariadbd mysql "$BASE/mysql" mariadbd --defaults-file="$BASE/etc/my.cnf"
  await 60 "${sql[@]}" -e 'select 1' || die "mariadbd: $(tail -3 "$BASE/log/mariadbd.out")"
  [ -s "$BASE/etc/dbpass" ] || (umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$BASE/etc/dbpass")
  "${sql[@]}" -e "create database if not exists slurm_acct_db;
    create user if not exists 'slurm'@'127.0.0.1' identified by '$(cat "$BASE/etc/dbpass")';
    grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1';"
}

# slurmctld reaches slurmdbd through a relay that can be frozen: accounting answers, and lags.
start_accounting() {
  cat >"$BASE/etc/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$MUNGE
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$PORT_DBD
CommunicationParameters=NoInAddrAny
SlurmUser=slurm
DebugLevel=info
LogFile=$BASE/log/slurmdbd.log
PidFile=$BASE/run/slurm/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$PORT_SQL
StorageUser=slurm
StoragePass=$(cat "$BASE/etc/dbpass")
StorageLoc=slurm_acct_db
END
  chown slurm:slurm "$BASE/etc/slurmdbd.conf" && chmod 600 "$BASE/etc/slurmdbd.conf"
  # It has no option for its file, which it looks for beside the slurm.conf of the environment.
  pid slurmdbd >/dev/null ||
    daemon slurmdbd slurm "$BASE/log" env "SLURM_CONF=$BASE/etc/slurm.conf" slurmdbd -D
  await 60 listens "$PORT_DBD" || die "slurmdbd: $(tail -3 "$BASE/log/slurmdbd.log")"
  pid relay >/dev/null ||
    daemon relay nobody / python3 "$BASE/etc/tcp_proxy.py" "$PORT_RELAY" "$PORT_DBD"
  await 10 listens "$PORT_RELAY" || die "relay: $(cat "$BASE/log/relay.out")"
}

slurm_conf() { # slurm_conf PORT: what slurmctld and the nodes read; PORT is where accounting is
  local i last="Nodes=n[1-$HUT_NODES]"
  cat <<END
ClusterName=$HUT_CLUSTER
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT_CTLD
SlurmdPort=$((PORTBASE + 18))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$MUNGE
CredType=cred/munge
SlurmUser=slurm
SlurmdUser=root
StateSaveLocation=$BASE/state
SlurmdSpoolDir=$BASE/spool/%n
SlurmctldPidFile=$BASE/run/slurm/slurmctld.pid
SlurmdPidFile=$BASE/run/slurm/%n.pid
SlurmctldLogFile=$BASE/log/slurmctld.log
SlurmdLogFile=$BASE/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
Prolog=$BASE/etc/prolog.sh
PrologSlurmctld=$BASE/etc/prologctld.sh
PrologEpilogTimeout=60
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=$HUT_MIN_JOB_AGE
MessageTimeout=10
SlurmctldTimeout=30
SlurmdTimeout=30
InactiveLimit=0
KillWait=5
Waittime=0
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
PriorityType=priority/multifactor
EnforcePartLimits=NO
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MailProg=/bin/true
JobCompType=jobcomp/none
GresTypes=gpu
END
  if [ "$HUT_ACCT" = 1 ]; then
    cat <<END
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$1
AccountingStoragePass=$MUNGE
AccountingStorageTRES=gres/gpu
END
  else
    echo "AccountingStorageType=accounting_storage/none"
  fi
  for ((i = 1; i <= HUT_NODES; i++)); do node "n$i" $((PORT_NODES + i)) "Feature=cpu"; done
  node g1 "$PORT_NODES" "Gres=gpu:a100:2 Feature=gpu"
  cat <<END
PartitionName=normal $last Default=YES MaxTime=1-00:00:00 DefaultTime=01:00:00 PriorityTier=5 PreemptMode=OFF
PartitionName=gpu Nodes=g1 MaxTime=12:00:00 DefaultTime=00:30:00 PriorityTier=5 PreemptMode=OFF
PartitionName=short $last MaxTime=00:02:00 DefaultTime=00:01:00 PriorityTier=5 PreemptMode=OFF
PartitionName=low $last MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=lowc $last MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=1 PreemptMode=CANCEL GraceTime=0
PartitionName=high $last MaxTime=INFINITE DefaultTime=01:00:00 PriorityTier=10 PreemptMode=OFF
PartitionName=down $last MaxTime=INFINITE State=DOWN
${HUT_SLURM_EXTRA:-}
END
}
node() { # node NAME PORT REST
  echo "NodeName=$1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$2 CPUs=$HUT_CPUS RealMemory=$HUT_MEM $3 State=UNKNOWN"
}

write_slurm_files() {
  local i
  slurm_conf "$PORT_RELAY" >"$BASE/etc/slurm.conf.new"
  slurm_conf "$PORT_DBD" >"$BASE/etc/login/slurm.conf.new" # people ask slurmdbd itself
  # In one step: commands read them at any time.
  for i in "$BASE/etc/slurm.conf" "$BASE/etc/login/slurm.conf"; do mv "$i.new" "$i"; done
  # slurmd wants a character device for each GPU: copies of /dev/null will do
  for i in 0 1; do [ -c "$BASE/dev/nvidia$i" ] || mknod -m 666 "$BASE/dev/nvidia$i" c 1 3; done
  printf 'AutoDetect=off\nNodeName=g1 Name=gpu Type=a100 File=%s/dev/nvidia[0-1]\n' "$BASE" >"$BASE/etc/gres.conf"
  printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n' >"$BASE/etc/cgroup.conf"
  # The node's prolog runs as root; while the controller's runs, the job is CONFIGURING.
  cat >"$BASE/etc/prolog.sh" <<END
#!/bin/bash
F=$BASE/fault
[ -e \$F/prolog-slow ] && sleep \$(cat \$F/prolog-slow)
[ ! -e \$F/prolog-fail ]
END
  cat >"$BASE/etc/prologctld.sh" <<END
#!/bin/bash
F=$BASE/fault
[ -e \$F/ctldprolog-slow ] && sleep \$(cat \$F/ctldprolog-slow)
exit 0
END
  chmod 755 "$BASE"/etc/prolog*.sh
  cp "$HERE/tcp_proxy.py" "$BASE/etc/tcp_proxy.py"
}

make_accounts() {
  local name
  await 20 timeout 5 sacctmgr -n -i list cluster || die "sacctmgr cannot reach slurmdbd"
  [ -z "$(sacctmgr -n list user "${NAMES[0]}" format=user)" ] || return 0
  {
    sacctmgr -i add cluster "$HUT_CLUSTER"
    sacctmgr -i add account proj1,proj2 Cluster="$HUT_CLUSTER" Description=p Organization=o
    for name in "${NAMES[@]}"; do
      sacctmgr -i add user "$name" Account=proj1,proj2 DefaultAccount=proj1 Cluster="$HUT_CLUSTER"
    done
  } >>"$BASE/log/sacctmgr.log" 2>&1 || true
}

start_slurm() {
  local name names=g1 i
  for ((i = 1; i <= HUT_NODES; i++)); do names="$names n$i"; done
  if ! pid slurmctld >/dev/null; then
    daemon slurmctld slurm "$BASE/log" slurmctld -D -f "$BASE/etc/slurm.conf"
    await 30 is_answering || die "slurmctld: $(tail -3 "$BASE/log/slurmctld.log")"
  fi
  for name in $names; do
    mkdir -p "$BASE/spool/$name"
    pid "slurmd.$name" >/dev/null ||
      daemon "slurmd.$name" root "$BASE/spool/$name" slurmd -D -N "$name" -f "$BASE/etc/slurm.conf"
  done
  await 60 nodes_are_up || die "not all nodes are up: $(sinfo -h -N -o '%N=%t' | sort -u | tr '\n' ' ')"
}
is_answering() { timeout 5 scontrol ping | grep -q 'is UP'; }
nodes_are_up() { [ -z "$(sinfo -h -N -o %t 2>&1 | grep -vE '^(idle|mix|alloc|comp|drain|drng)$')" ]; }

start_sshd() {
  local kind name
  for kind in ed25519 rsa; do
    [ -s "$BASE/ssh/keys/$kind" ] || ssh-keygen -q -t "$kind" -N '' -C host -f "$BASE/ssh/keys/$kind"
  done
  [ -s "$BASE/client/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C client -f "$BASE/client/id_ed25519"
  for name in "${NAMES[@]}"; do
    [ -e "$BASE/ssh/authorized/$name" ] || install -m 644 "$BASE/client/id_ed25519.pub" "$BASE/ssh/authorized/$name"
  done
  for kind in ed25519 rsa; do
    echo "[127.0.0.1]:$PORT_SSH $(cut -d' ' -f1,2 "$BASE/ssh/keys/$kind.pub")"
  done >"$BASE/client/known_hosts"
  touch "$BASE/ssh/banner"
  [ -e "$BASE/etc/sshd_config" ] || cat >"$BASE/etc/sshd_config" <<END
${HUT_SSHD_EXTRA:-}
Port $PORT_SSH
ListenAddress 127.0.0.1
HostKey $BASE/ssh/keys/ed25519
HostKey $BASE/ssh/keys/rsa
PidFile $BASE/run/sshd.pid
AuthorizedKeysFile $BASE/ssh/authorized/%u
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
AllowUsers ${NAMES[*]}
LoginGraceTime 30
UseDNS no
PrintMotd no
X11Forwarding no
Banner $BASE/ssh/banner
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv SLURM_CONF=$SLURM_CONF HUT_RC=$BASE/ssh/rc PATH=$BASE/shim:/usr/local/bin:/usr/bin:/bin
END
  mkdir -p -m 755 /run/sshd
  ! pid sshd >/dev/null || return 0
  "$HUT_SSHD" -t -f "$BASE/etc/sshd_config" || die "sshd_config is wrong"
  setsid "$HUT_SSHD" -f "$BASE/etc/sshd_config" -E "$BASE/log/sshd.log" </dev/null
  await 10 test -s "$BASE/run/sshd.pid" || die "sshd: $(tail -3 "$BASE/log/sshd.log")"
}

make_directories
make_users
start_sshd
[ "$HUT_SLURM" = 1 ] || exit 0
start_munge
write_slurm_files
if [ "$HUT_ACCT" = 1 ]; then
  start_database
  start_accounting
  make_accounts
fi
start_slurm

use crate::key::KeyRecord;
use crate::store::Change;

/// Whether a change may have changed what a decision reads of `key`.
///
/// The feed says this better, by lookup id and in order. This is for the one moment when a change
/// was made and the feed cannot be read: what the change is about must not be served any more.
pub(super) fn reaches(change: &Reach, key: &KeyRecord) -> bool {
    match change {
        Reach::Nothing => false,
        Reach::Key(id) => key.id == *id,
        Reach::User(id) => key.owner.id == *id,
        Reach::Role(name) => key.owner.roles.iter().any(|role| **role == **name),
    }
}

/// What of the known keys a change is about.
pub(super) enum Reach {
    /// It makes something new, or something that no decision reads.
    Nothing,
    Key(uuid::Uuid),
    User(uuid::Uuid),
    Role(String),
}

impl From<&Change> for Reach {
    fn from(change: &Change) -> Self {
        match change {
            Change::Bootstrap { .. }
            | Change::CreateUser(_)
            | Change::CreateRole(_)
            | Change::CreatePermission(_)
            | Change::DeletePermission { .. }
            | Change::CreateKey(_) => Reach::Nothing,
            Change::UpdateUser { id, .. }
            | Change::DeleteUser { id }
            | Change::LockUser { id, .. }
            | Change::UnlockUser { id }
            | Change::AddRoles { user: id, .. }
            | Change::RemoveRole { user: id, .. } => Reach::User(*id),
            Change::UpdateRole { name, .. } | Change::DeleteRole { name } => {
                Reach::Role(name.clone())
            }
            Change::UpdateKey { id, .. }
            | Change::RotateKey { id, .. }
            | Change::RevokeKey { id } => Reach::Key(*id),
        }
    }
}

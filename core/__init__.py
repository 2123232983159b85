"""Ground floor: errors, files, workspace folders, pictures, device, progress, run manifest. Imports no other room."""
